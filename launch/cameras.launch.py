"""Starts a detector for each camera, in a namespace of the camera's name.

`ros2 launch nanodet_kp_ros cameras.launch.py cameras:="front rear"`: the detector of /front/image_raw publishes
/front/armors, and the same for rear. Each is a process of its own, with `threads` threads: together not more than
the machine has cores.

In every argument {camera} stands for the camera's name: `camera_info_file:="~/calibration/{camera}.yaml"`.
"""

import os

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

# As in detector.launch.py.
_SETTINGS = (
    "model",
    "image_transport",
    "image_qos",
    "image_geometry",
    "camera_info_file",
    "score_threshold",
    "threads",
    "use_sim_time",
)
_CAMERA = "{camera}"
_OF_ALL = f"as in detector.launch.py, for all cameras; {_CAMERA} in it is the name of each"


def generate_launch_description():
    share = get_package_share_directory("nanodet_kp_ros")
    params_file = os.path.join(share, "config", "detector.yaml")
    return LaunchDescription(
        [
            DeclareLaunchArgument("cameras", description="names of the cameras, separated by spaces"),
            DeclareLaunchArgument(
                "image", default_value="image_raw", description="image topic in the namespace of each camera"
            ),
            DeclareLaunchArgument("params_file", default_value=params_file, description="parameters of all nodes"),
            *(DeclareLaunchArgument(name, default_value="", description=_OF_ALL) for name in _SETTINGS),
            OpaqueFunction(function=_detectors, args=[os.path.join(share, "launch", "detector.launch.py")]),
        ]
    )


def _detectors(context, launch_file):
    def value(name):
        return LaunchConfiguration(name).perform(context)

    shared = {name: value(name) for name in ("image", "params_file", *_SETTINGS)}
    return [
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(launch_file),
            launch_arguments=[
                ("namespace", camera),
                *((name, text.replace(_CAMERA, camera)) for name, text in shared.items()),
            ],
        )
        for camera in value("cameras").split()
    ]
