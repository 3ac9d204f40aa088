"""From a checkpoint to an ONNX file that the runtime takes as it is."""
