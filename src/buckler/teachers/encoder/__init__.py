"""The `encoder` teacher: a pre-trained transformer, fine-tuned on labels, that labels on a CPU.

`tokens` turns texts into batches, `segmentation` cuts names in URLs into words, `fine_tune` trains
the network, `onnx_model` runs it with 8-bit weights, and `encoder_teacher` puts them together.
"""

from buckler.teachers.encoder.encoder_teacher import EncoderSettings, EncoderTeacher

__all__ = ["EncoderSettings", "EncoderTeacher"]
