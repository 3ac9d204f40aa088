"""The node of docs/cpp.md, built as its CMakeLists.txt says: with our messages, and a stand-in for rclcpp."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from ros_helpers import ROOT

PREFIX = Path(sys.prefix)
PATH = f"{PREFIX}/bin:{os.environ['PATH']}"
pytestmark = [
    pytest.mark.skipif(not (shutil.which("g++") and shutil.which("cmake", path=PATH)), reason="needs g++ and cmake"),
    pytest.mark.skipif(
        not (PREFIX / "share/nanodet_kp_ros/cmake").is_dir(),
        reason="needs the messages in this environment: make setup",
    ),
]

HEADER = """
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
namespace rclcpp {
struct Logger {};
template <class Message> struct Subscription {
  using SharedPtr = std::shared_ptr<Subscription>;
};
struct Node {
  explicit Node(const std::string&) {}
  template <class Message, class Callback>
  typename Subscription<Message>::SharedPtr create_subscription(const std::string&, int, Callback callback) {
    std::function<void(typename Message::ConstSharedPtr)> taken = callback;
    return std::make_shared<Subscription<Message>>();
  }
  Logger get_logger() const { return {}; }
};
void init(int, char**) {}
void spin(std::shared_ptr<Node>) {}
void shutdown() {}
}
#define RCLCPP_INFO(logger, ...) (static_cast<void>(logger), std::printf(__VA_ARGS__))
"""
"""What the node of the page uses of rclcpp."""

CONFIG = """
add_library(rclcpp::rclcpp INTERFACE IMPORTED)
set_target_properties(rclcpp::rclcpp PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${CMAKE_CURRENT_LIST_DIR}/include")
"""

PACKAGE = """<?xml version="1.0"?>
<package format="3">
<name>my_aim</name>
<version>0.0.1</version>
<description>The example</description>
<maintainer email="nobody@example.com">nobody</maintainer>
<license>Apache-2.0</license>
%s
<export><build_type>ament_cmake</build_type></export>
</package>
"""


def block(language):
    """The first block of the page in this language."""
    page = (ROOT / "docs/cpp.md").read_text(encoding="utf-8")
    return re.search(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[1]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def run(*words):
    environment = os.environ | {"AMENT_PREFIX_PATH": str(PREFIX), "PATH": PATH}
    done = subprocess.run([*map(str, words)], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_node_of_the_page_builds(tmp_path):
    write(tmp_path / "aim.cpp", block("cpp"))
    write(tmp_path / "CMakeLists.txt", block("cmake"))
    write(tmp_path / "package.xml", PACKAGE % block("xml"))
    write(tmp_path / "rclcpp/include/rclcpp/rclcpp.hpp", HEADER)
    write(tmp_path / "rclcpp/rclcppConfig.cmake", CONFIG)
    found = f"-DCMAKE_PREFIX_PATH={PREFIX};{tmp_path}/rclcpp"
    text = run("cmake", "-S", tmp_path, "-B", tmp_path / "build", found, f"-DPython3_EXECUTABLE={sys.executable}")
    assert "ament_target_dependencies" not in text  # its warning
    run("cmake", "--build", tmp_path / "build")
    run(tmp_path / "build/aim")
    run("cmake", "--install", tmp_path / "build", "--prefix", tmp_path / "installed")
    assert (tmp_path / "installed/lib/my_aim/aim").is_file()
