"""Pretraining of the small reader that ships with the project: tokenizer, model, stages."""
