"""How a language model is asked: prompt, answers, limits, hostile events, the paid run."""
