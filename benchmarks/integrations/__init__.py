"""Every public way to call a model in the three frameworks, made twice: who was asked, and what the caller got."""
