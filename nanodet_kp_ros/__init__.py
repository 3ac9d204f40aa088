"""ROS 2 nodes around `nanodet_kp_core.runtime`.

The messages (`nanodet_kp_ros.msg`) are built, not written: they lie beside the installed copy of this package. Run
from the source tree, this package comes first on the path, so it must also look there.
"""

import pkgutil

__path__ = pkgutil.extend_path(__path__, __name__)
