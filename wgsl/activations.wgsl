// The activations of gated MLPs, by their number in ACTIVATION_KINDS.

override ACTIVATION: u32;

fn sigmoid(x: f32) -> f32 {
  return 1.0 / (1.0 + exp(-x));
}

/// erf by Abramowitz and Stegun 7.1.26's successor: Chebyshev fit of erfc, relative error under 1.2e-7 (Numerical Recipes, erfcc).
fn erf(x: f32) -> f32 {
  let a = abs(x);
  let t = 1.0 / (1.0 + 0.5 * a);
  let series = -1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 +
    t * (-0.18628806 + t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 +
    t * (-0.82215223 + t * 0.17087277))))))));
  return sign(x) * (1.0 - t * exp(-a * a + series));
}

fn activate(x: f32) -> f32 {
  switch (ACTIVATION) {
    case 0u: { // silu
      return x * sigmoid(x);
    }
    case 1u: { // quick_gelu
      return x * sigmoid(1.702 * x);
    }
    case 2u: { // gelu_tanh
      return x * sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x));
    }
    case 3u: { // gelu
      return 0.5 * x * (1.0 + erf(x * 0.7071067811865476));
    }
    case 4u: { // relu
      return max(x, 0.0);
    }
    case 5u: { // relu2
      return max(x, 0.0) * max(x, 0.0);
    }
    case 6u: { // sigmoid
      return sigmoid(x);
    }
    default: { // linear
      return x;
    }
  }
}
