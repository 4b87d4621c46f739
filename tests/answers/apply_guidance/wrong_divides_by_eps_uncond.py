# points: 0 | hint: contains NaN
# visible: contains NaN
def apply_guidance(eps_uncond,eps_cond,guidance_scale):
    return eps_uncond+guidance_scale*(eps_cond/eps_uncond-1)*eps_uncond
