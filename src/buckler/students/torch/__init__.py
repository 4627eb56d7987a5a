"""Students that are networks: trained with torch, exported to ONNX."""
