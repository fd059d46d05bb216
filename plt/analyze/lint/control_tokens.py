"""Control tokens: what chat templates, tokenizers and terminals obey instead of showing.

In a text that a person or a model wrote they forge turns, end a sequence early, or paint the
terminal of whoever looks at the data.
"""

CHAT_TOKENS = (
    r"<\|[A-Za-z0-9_ .:/-]{1,40}\|>",  # <|im_start|>, <|endoftext|>, <|eot_id|>, <|user|>
    r"<｜[^｜<>]{1,40}｜>",
    r"</?s>",
    r"\[/?(?:INST|SYS)\]",
    r"<</?SYS>>",
    r"<(?:start|end)_of_(?:turn|text)>",
    r"<(?:bos|eos|pad|unk)>",
    r"\[(?:CLS|SEP|PAD|MASK|UNK|BOS|EOS)\]",
)
FORGED_TURNS = (
    r"\n\n(?:Human|Assistant):",
    r"(?m:^)### ?(?:Human|Assistant|Instruction|Response|System|User):",
)
CONTROL_CHARACTERS = (
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]",  # also the escape that starts ANSI sequences
    r"[\x{0080}-\x{009f}]",
    r"[\x{202a}-\x{202e}\x{2066}-\x{2069}]",  # bidirectional overrides
)
CONTROL_TOKEN = "|".join((*CHAT_TOKENS, *FORGED_TURNS, *CONTROL_CHARACTERS))
"""One pattern for all of them, in the syntax that polars (Rust) reads."""
