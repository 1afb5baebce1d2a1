"""A Segment Anything teacher at tiny size with random weights."""

import torch


def tiny_sam(seed=0):
    """transformers.SamModel for pictures of 64 pixels with an embedding of 8x8."""
    from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

    torch.manual_seed(seed)
    vision = SamVisionConfig(
        hidden_size=16, output_channels=8, num_hidden_layers=1, num_attention_heads=2, image_size=64, patch_size=8,
        mlp_dim=16, window_size=4, global_attn_indexes=[0], num_pos_feats=4,
    )  # fmt: skip
    prompts = SamPromptEncoderConfig(hidden_size=8, image_size=64, patch_size=8, mask_input_channels=4)
    masks = SamMaskDecoderConfig(
        hidden_size=8, mlp_dim=16, num_hidden_layers=1, num_attention_heads=2, iou_head_hidden_dim=8
    )
    config = SamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=masks)
    model = SamModel(config).eval()
    for parameter in model.parameters():  # SAM's own beginning is so small that all pictures are embedded alike
        torch.nn.init.normal_(parameter, std=0.2)
    return model
