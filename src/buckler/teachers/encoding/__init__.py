"""A pre-trained transformer: texts to tokens, fine-tuning, and fast labeling on a CPU."""
