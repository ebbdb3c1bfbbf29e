/* cnn_infer: classify images with a small CNN. */
#include "programs/classify.h"

static const cli_command command = {
    .program = "cnn_infer", .set = CLI_INFER, .min_args = 2, .max_args = -1,
    .operands = "MODEL INPUT...", .run = classify_run,
    .summary = "Classify images with a small CNN: MNIST, CIFAR-10, CIFAR ResNets, any chain.",
    .details = CLASSIFY_DETAILS,
    .examples =
        "  cnn_infer mnist_cnn.safetensors digit.png\n"
        "  cnn_infer mnist_cnn.safetensors t10k-images-idx3-ubyte.gz#7 --top 3\n"
        "  cnn_infer cifar_cnn.safetensors photos/ --batch 64 --json --logits logits.npy\n"
        "  cnn_infer mnist_classifier.pt digit.png --input 1,28,28 --channels L \\\n"
        "      --mean 0.1307 --std 0.3081 \\\n"
        "      --layers \"conv1 relu maxpool:2 conv2 relu maxpool:2 flatten fc1 relu fc2\"\n",
};

int main(int argc, char **argv)
{
    cli_start();
    return cli_main(&command, argc, argv);
}
