"""Workers on this machine start as the running ComfyUI did, each with an address and folders of its own."""

from flux_duet.nodes.cluster.arguments import of_this_machine


def test_folders_of_models_and_precision_are_kept_and_the_servers_own_are_not():
    given = [
        "--listen", "0.0.0.0", "--port", "8188", "--base-directory", "/data", "--extra-model-paths-config", "a", "b",
        "--auto-launch", "--fast", "fp16_accumulation", "--output-directory", "/out", "--lowvram", "--user-directory=u",
    ]  # fmt: skip
    kept = ["--base-directory", "/data", "--extra-model-paths-config", "a", "b", "--fast", "fp16_accumulation",
            "--lowvram"]  # fmt: skip
    assert of_this_machine(given) == kept and of_this_machine([]) == []
