"""What a user has -> what a user wants: one pipeline a task, NumPy or Pillow at both ends."""

from mobigen.pipelines.text_to_image import TextToImageOutput, TextToImagePipeline

__all__ = ["PIPELINES", "TextToImageOutput", "TextToImagePipeline"]

PIPELINES: dict[str, type[TextToImagePipeline]] = {  # by the task that a bundle states
    "text-to-image": TextToImagePipeline,
}
