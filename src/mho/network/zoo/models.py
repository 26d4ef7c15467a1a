"""The models that the zoo knows, by what they read."""

IMAGE_SIZES = {
    "vgg16": 224,
    "resnet18": 224,
    "resnet34": 224,
    "resnet50": 224,
    "densenet121": 224,
    "densenet161": 224,
    "mobilenet_v2": 224,
    "resnet20": 32,
    "resnet32": 32,
    "resnet44": 32,
    "resnet56": 32,
    "densenet40": 32,
    "vit-b16": 224,
}
"""Models that read images, and the height and width they were published for."""

TEXT_MODELS = ("bert-base", "bert-large", "gpt2")
DECODERS = ("llama3-8b", "llama3-70b")
RECOMMENDERS = ("dlrm", "ncf")
"""Dense parts of recommenders: they read the vectors that embedding tables give (`recommenders`), of fixed sizes."""

SEQUENCE = 128
"""Tokens per sample where none are asked for (the length of the ARAS paper's BERT runs)."""
