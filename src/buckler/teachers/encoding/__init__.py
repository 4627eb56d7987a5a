"""A pre-trained transformer: texts to tokens, fine-tuning, and fast labelling on a CPU."""
