"""What a client asked: parsed, validated, coerced, with fragments inlined and conditions folded."""
