"""The C kernel's sources, and what makes files of them; the compiled kernel is `_kernel`."""
