"""The C kernel: normalizes text, and scores and trains `ngram` and `trees` students.

`buckler.h` is the public header; programs in other languages embed the kernel without Python
(`python -m buckler.kernel.amalgamate FOLDER` writes it as one C file, with examples). Python uses
the compiled module `buckler._kernel`. The files, from the lowest layer up:

- `unicode.c`, `sink.c`: folding of code points, bounded output buffers.
- `url1.c`, `url3.c`, `url_*.c`, `command*.c`, `normalize.c`: normalized texts.
- `ngram.c`, `paths.c`, `ngram_train.c`, `trees.c`: students, on AVX2, AVX-512 or plain C.
- `probabilities.c`, `model.c`: calibrated scores, and bundles as one flat file.
- `json_lines.c`, `audit_lines.c`: columns out of JSON lines and logs of auditd, for the readers.
- `html_*.c`, `links.c`, `page_text.c`, `mail_text.c`: pages and mails, for their normalized texts.
- `binding_*.c`, `module.c`: the Python module.

`make_fold_table.py` and `make_url_words.py` generate the tables. A score is the same to the bit on
every instruction set.
"""
