# points: 4 | hint:
def ddim_timesteps(num_train_timesteps: int, num_inference_steps: int) -> list[int]:
    kept = []
    for i in range(1, num_inference_steps + 1):
        kept.append(int(i * num_train_timesteps / num_inference_steps + 0.5) - 1)
    kept.reverse()
    return kept
