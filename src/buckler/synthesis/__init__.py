"""Synthesis: synthetic examples of what is rare or unseen, harmless by construction.

Synthesis stands before training in the data flow. A template describes which examples to write, a
generator writes drafts, and filters keep those that are well-formed, harmless, new and of the right
class. A trial (`buckler.training.synthesis_trial`) then decides whether they help on real events.

- `template`: `read_template` reads a TOML file into combinations of attributes.
- `generator`: the seam; the package `generators` has those without a model, `llm_generator` asks a
  language model, and `paraphrase` turns one into an attack.
- `generate`: `generate_examples` writes drafts and filters them.
- `filters`, `format_check`, `verifiers`, `two_sample`, `diversity`: the filters and their figures.
- `defanging`: reserved names in place of real ones in storage, and the reverse in memory.
- `synthetic_examples`: the marked file that stores examples and their `SynthesisReport`.

Write a hundred examples of phishing URLs, given labeled real events::

    template = read_template(get_task("url-threat"))
    generator = get_generator("grammar", template, real, seed=0)
    result = generate_examples(generator, GenerationSettings(100))
    write_synthetic_examples(path, result.synthetic_examples, template.task, result.report)
"""
