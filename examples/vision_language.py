"""A long video for a model that reads few frames: `select` chooses them, a Transformers pipeline takes them.

Run:  python examples/vision_language.py demo/demo.plan demo/box-bouncing.mp4
      (needs pip install transformers torch torchvision)

The model here is Video-LLaVA made small, with random weights and a dictionary of a few words, so that nothing
is downloaded; what it says means nothing. With real weights `tiny` goes: pipeline("any-to-any", model=NAME).
"""

import sys

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    PreTrainedTokenizerFast,
    VideoLlavaConfig,
    VideoLlavaForConditionalGeneration,
    VideoLlavaProcessor,
    VideoLlavaVideoProcessor,
    pipeline,
)

from l2l_engine import Classifier, Selection

FRAMES, SIDE, PATCH = 4, 32, 8
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<image>", "<video>"]
WORDS = [*SPECIAL, "at", "and", "seconds", "what", "happens", "?", "a", "ball", "box", "ring", "star"]


def tiny() -> tuple[VideoLlavaForConditionalGeneration, VideoLlavaProcessor]:
    """A model of a few thousand random weights, and what turns pictures and words into its input."""
    words = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>")
    )
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, extra_special_tokens=["<image>", "<video>"], **names
    )
    size = {"height": SIDE, "width": SIDE}
    shapes = {"size": {"shortest_edge": SIDE}, "crop_size": size}
    processor = VideoLlavaProcessor(
        image_processor=CLIPImageProcessor(**shapes),
        video_processor=VideoLlavaVideoProcessor(**shapes),
        tokenizer=tokenizer,
        patch_size=PATCH,
    )
    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = VideoLlavaConfig(
        vision_config=CLIPVisionConfig(image_size=SIDE, patch_size=PATCH, **layers),
        text_config=LlamaConfig(
            vocab_size=len(WORDS), pad_token_id=0, bos_token_id=1, eos_token_id=2, **layers
        ),
        image_token_index=WORDS.index("<image>"),
        video_token_index=WORDS.index("<video>"),
    )
    return VideoLlavaForConditionalGeneration(config).eval(), processor


def ask(selection: Selection, question: str) -> str:
    """What the model answers about the frames that were selected, which it is told the seconds of."""
    model, processor = tiny()
    video = np.stack([frame.image for frame in selection.frames])
    seconds = " and ".join(f"{frame.seconds:.1f}" for frame in selection.frames)
    talk = pipeline("any-to-any", model=model, processor=processor)
    prompt = f"<video> at {seconds} seconds {question}"
    (answer,) = talk(text=prompt, videos=[video], max_new_tokens=8, return_full_text=False)
    return str(answer["generated_text"])


def main() -> None:
    """Print what was selected, and what the model makes of it."""
    plan, path = sys.argv[1:]
    with Classifier(plan) as classifier:
        selection = classifier.select(path, frames=FRAMES, seconds=FRAMES)
    for frame in selection.frames:
        print(f"{frame.seconds:6.1f} s  {frame.image.shape}  {frame.weight:.0%} of the attention")
    for sound in selection.sounds:
        print(f"{sound.seconds:6.1f} s  {sound.samples.shape} at {selection.sample_rate} Hz")
    print(ask(selection, "what happens ?"))


if __name__ == "__main__":
    main()
