"""Starts the detector, and with `player_source:=PATH` a player that feeds it.

`ros2 launch nanodet_kp_ros detector.launch.py --show-args` lists the arguments.
"""

import os

import yaml
from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

# Fast DDS 3 reads the first, Fast DDS 2 the second; other middlewares read neither.
_PROFILES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
_PROFILE = _PROFILES[os.environ.get("ROS_DISTRO") in ("humble", "jazzy")]
# Parameters of the detector that are launch arguments too; where one is left empty, the parameter file holds.
_SETTINGS = {
    "image_transport": "raw or compressed; empty: as the parameter file says",
    "image_qos": "best_effort or reliable; empty: as the parameter file says",
    "image_geometry": "auto, raw or rectified; empty: as the parameter file says",
    "camera_info_file": "calibration file; empty: as the parameter file says",
    "score_threshold": "0 to 1; empty: as the parameter file says",
    "threads": "threads of the network; empty: as the parameter file says",
    "use_sim_time": "true or false: the time of a simulator or a bag; empty: as the parameter file says",
}
_TEXTS = ("model", "image_transport", "image_qos", "image_geometry", "camera_info_file")  # the others are YAML
_RESPAWN_DELAY_S = 1.0
_REFUSED = 2  # exit code for what the user has to correct; to start again would only repeat it
_OWN_SETTINGS = (*_PROFILES, "FASTDDS_BUILTIN_TRANSPORTS")


def generate_launch_description():
    config = os.path.join(get_package_share_directory("nanodet_kp_ros"), "config")
    params_file = os.path.join(config, "detector.yaml")
    arguments = [
        DeclareLaunchArgument("image", default_value="image_raw", description="image topic of the camera"),
        DeclareLaunchArgument(
            "camera_info", default_value="", description="topic of the calibration; empty: beside the image topic"
        ),
        DeclareLaunchArgument("model", default_value="", description="ONNX file; empty: as the parameter file says"),
        *(DeclareLaunchArgument(name, default_value="", description=text) for name, text in _SETTINGS.items()),
        DeclareLaunchArgument("params_file", default_value=params_file, description="parameters of detector_node"),
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the nodes, one for each camera"),
        DeclareLaunchArgument(
            "respawn",
            default_value="true",
            choices=["true", "false"],
            description="start the detector again when it dies; not when it refuses its configuration (exit code 2)",
        ),
        DeclareLaunchArgument(
            "player_source", default_value="", description="image, folder, video, camera index or rosbag2 to play"
        ),
        DeclareLaunchArgument(
            "fps", default_value="0.0", description="images per second of the player; 0: as the source says"
        ),
        DeclareLaunchArgument(
            "loop", default_value="true", choices=["true", "false"], description="the player starts again at the end"
        ),
        DeclareLaunchArgument(
            "topic", default_value="", description="image topic of a bag for the player; empty: its only one"
        ),
        DeclareLaunchArgument("rate", default_value="1.0", description="speed of the player for a bag; 1: as recorded"),
    ]
    # With the defaults of Fast DDS most images above half a megabyte are lost on the way. Settings of the user win.
    chosen = any(name in os.environ for name in _OWN_SETTINGS)
    profiles = os.path.join(config, "fastdds_images.xml")
    transports = [] if chosen else [SetEnvironmentVariable(_PROFILE, profiles)]
    return LaunchDescription([*arguments, *transports, OpaqueFunction(function=_nodes)])


def _nodes(context):
    def value(name):
        return LaunchConfiguration(name).perform(context)

    remappings = [("image_raw", value("image"))]
    if value("camera_info"):
        remappings.append(("camera_info", value("camera_info")))
    common = {
        "package": "nanodet_kp_ros",
        "namespace": value("namespace"),
        "remappings": remappings,
        "output": "screen",
    }
    chosen = {name: value(name) for name in ("model", *_SETTINGS) if value(name)}
    own = {name: text if name in _TEXTS else yaml.safe_load(text) for name, text in chosen.items()}
    parameters = [value("params_file"), own]  # now: when it is started again, the context may hold another camera's

    def detector():
        return Node(executable="detector_node", parameters=parameters, **common)

    nodes = _kept_alive(detector) if value("respawn") == "true" else [detector()]
    if value("player_source"):
        numbers = {name: float(value(name)) for name in ("fps", "rate")}
        player = {"source": value("player_source"), "topic": value("topic"), "loop": value("loop") == "true", **numbers}
        nodes.append(Node(executable="player_node", parameters=[player], **common))
    return nodes


def _kept_alive(make):
    """The node, and what starts another one when it ends. `respawn` of launch would do so whatever the exit code is."""
    node = make()

    def started_again(event, context):
        if event.returncode == _REFUSED or context.is_shutdown:
            return None
        return TimerAction(period=_RESPAWN_DELAY_S, actions=_kept_alive(make))

    return [RegisterEventHandler(OnProcessExit(target_action=node, on_exit=started_again, handle_once=True)), node]
