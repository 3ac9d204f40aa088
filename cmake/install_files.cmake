# What a robot gets besides the messages and the scripts of the nodes. PYTHON_INSTALL_DIR says where Python files go.
# Rooms of the core that training alone needs are left out, and so are its weights (.pt) and configurations.
get_filename_component(root "${CMAKE_CURRENT_LIST_DIR}" DIRECTORY)

file(GLOB core_files CONFIGURE_DEPENDS "${root}/nanodet_kp_core/*.py")
list(REMOVE_ITEM core_files "${root}/nanodet_kp_core/checkpoint.py")
install(FILES ${core_files} "${root}/nanodet_kp_core/py.typed" DESTINATION ${PYTHON_INSTALL_DIR}/nanodet_kp_core)
install(DIRECTORY "${root}/nanodet_kp_core/runtime" "${root}/nanodet_kp_core/labels"
  DESTINATION ${PYTHON_INSTALL_DIR}/nanodet_kp_core
  PATTERN "__pycache__" EXCLUDE
  PATTERN "*.pyc" EXCLUDE
)
install(DIRECTORY "${root}/nanodet_kp_ros"
  DESTINATION ${PYTHON_INSTALL_DIR}
  PATTERN "__pycache__" EXCLUDE
  PATTERN "*.pyc" EXCLUDE
)

install(DIRECTORY "${root}/launch" DESTINATION share/${PROJECT_NAME})
install(FILES
  "${root}/config/detector.yaml"
  "${root}/config/detector.rviz"
  "${root}/config/fastdds_images.xml"
  "${root}/config/foxglove.json"
  DESTINATION share/${PROJECT_NAME}/config
)
file(GLOB model_files CONFIGURE_DEPENDS "${root}/models/*.onnx")
install(FILES ${model_files} "${root}/models/README.md" DESTINATION share/${PROJECT_NAME}/models)
