import sys
from pathlib import Path

# The import mode "importlib" puts no test folder on the path; tiny_model.py is shared by the tests here.
sys.path.insert(0, str(Path(__file__).parent))
