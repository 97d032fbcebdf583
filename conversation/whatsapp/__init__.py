"""WhatsApp's Cloud API in and out: the only package that knows Meta's words, and the only importer of pywa."""
