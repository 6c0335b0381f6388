"""Bundle to scores with numpy and ONNX Runtime: one function for evaluate, predict and serve."""
