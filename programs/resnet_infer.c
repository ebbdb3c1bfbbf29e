/* resnet_infer: classify photographs with a ResNet. */
#include "programs/classify.h"

static const cli_command command = {
    .program = "resnet_infer", .set = CLI_INFER, .min_args = 2, .max_args = -1,
    .operands = "MODEL INPUT...", .run = classify_run,
    .summary = "Classify photographs with ResNet-18, 34, 50, 101, 152, ResNeXt or Wide ResNet.",
    .details = CLASSIFY_DETAILS "\n"
        "A file of torchvision's, or one fine-tuned from it, is read as it is: depth, width and\n"
        "number of classes come from its tensors. Where it has no recipe, images are prepared as\n"
        "torchvision does: short side 256, centre 224 x 224, ImageNet's mean and std.",
    .examples =
        "  resnet_infer resnet50.pth photo.jpg\n"
        "  resnet_infer resnet50.pth photo.jpg --top 5 --labels imagenet_classes.txt\n"
        "  resnet_infer finetuned.safetensors photos/ --batch 8 --json --logits logits.npy\n"
        "  resnet_infer resnet50.pth photo.jpg --resize 320 --crop 288\n"
        "  curl -s https://example.org/cat.jpg | resnet_infer resnet18.pth -\n",
};

int main(int argc, char **argv)
{
    cli_start();
    return cli_main(&command, argc, argv);
}
