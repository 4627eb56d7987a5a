"""Teachers that ask a language model.

`client` is the seam to a server (a request in, a reply out), with `chat`, `anthropic` and `gguf` as
implementations. `language_model` turns events into calls and replies into annotations: `prompt` and
`fence` write the request, `redaction` and `injection` handle what it must not leak or obey, and
`answers` reads the reply. `runner` makes the calls within the limits of server and budget, tries
again, and hands each result over to be stored before it goes on.
"""
