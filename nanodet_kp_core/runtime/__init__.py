"""What a robot needs, with numpy, OpenCV and onnxruntime alone: preprocess -> session -> decode -> nms."""
