# points: 1 | hint: s - 1 belongs to the formula
# visible: not s - 1
def apply_guidance(eps_uncond,eps_cond,guidance_scale):
    return eps_uncond+(guidance_scale-1)*(eps_cond-eps_uncond)
