"use strict";

// Short-time Fourier transform of a clip and its least-squares inverse, as in the package (audioxai.domains.Stft):
// periodic Hann windows around multiples of the hop, zeros around the clip, overlap-add over the sum of squared windows.
class Stft {
  #real;
  #imaginary;
  #window;
  #envelope;
  #transform;

  constructor({ windowLength, hopLength, samples, bins, frames }, waveform) {
    Object.assign(this, { windowLength, hopLength, samples, bins, frames });
    this.#transform = new Fourier(windowLength);
    this.#window = Float64Array.from({ length: windowLength }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / windowLength));
    this.#envelope = new Float64Array((frames - 1) * hopLength + windowLength);
    for (let frame = 0; frame < frames; frame++) {
      for (let i = 0; i < windowLength; i++) this.#envelope[frame * hopLength + i] += this.#window[i] ** 2;
    }
    this.#analyse(waveform);
  }

  // Two frames at once, as the real and the imaginary part of one: Z[k] of both is A[k] + iB[k], and A and B are the
  // transforms of real sounds.
  #analyse(waveform) {
    const { windowLength, hopLength, samples, bins, frames } = this;
    this.#real = new Float32Array(frames * bins);
    this.#imaginary = new Float32Array(frames * bins);
    const parts = [new Float64Array(windowLength), new Float64Array(windowLength)];
    for (let frame = 0; frame < frames; frame += 2) {
      for (const [later, part] of parts.entries()) {
        const first = (frame + later) * hopLength - windowLength / 2;
        for (let i = 0; i < windowLength; i++) {
          const sample = first + i;
          part[i] = sample >= 0 && sample < samples ? waveform[sample] * this.#window[i] : 0;
        }
      }
      const [re, im] = this.#transform.of(...parts);
      for (let bin = 0; bin < bins; bin++) {
        const mirrored = (windowLength - bin) % windowLength;
        const at = frame * bins + bin;
        this.#real[at] = (re[bin] + re[mirrored]) / 2;
        this.#imaginary[at] = (im[bin] - im[mirrored]) / 2;
        if (frame + 1 === frames) continue;
        this.#real[at + bins] = (im[bin] + im[mirrored]) / 2;
        this.#imaginary[at + bins] = (re[mirrored] - re[bin]) / 2;
      }
    }
  }

  // The sound of the bins for which keeps(bin · frames + frame) is true.
  filtered(keeps) {
    const { windowLength, hopLength, samples, bins, frames } = this;
    const added = new Float64Array(this.#envelope.length);
    const [real, imaginary] = [new Float64Array(windowLength), new Float64Array(windowLength)];
    for (let frame = 0; frame < frames; frame += 2) {
      for (let bin = 0; bin < bins; bin++) {
        const at = frame * bins + bin;
        const first = keeps(bin * frames + frame);
        const second = frame + 1 < frames && keeps(bin * frames + frame + 1);
        const [aReal, aImaginary] = first ? [this.#real[at], this.#imaginary[at]] : [0, 0];
        const [bReal, bImaginary] = second ? [this.#real[at + bins], this.#imaginary[at + bins]] : [0, 0];
        // The conjugate of A + iB, of which the transform over the length is the conjugate of the inverse.
        const mirrored = (windowLength - bin) % windowLength;
        real[mirrored] = aReal + bImaginary;
        imaginary[mirrored] = aImaginary - bReal;
        real[bin] = aReal - bImaginary;
        imaginary[bin] = -aImaginary - bReal;
      }
      const parts = this.#transform.of(real, imaginary);
      for (const [later, sign] of [[0, 1], [1, -1]]) {
        if (frame + later === frames) continue;
        for (let i = 0; i < windowLength; i++) {
          added[(frame + later) * hopLength + i] += ((sign * parts[later][i]) / windowLength) * this.#window[i];
        }
      }
    }
    const half = windowLength / 2;
    return Float32Array.from({ length: samples }, (_, i) => added[half + i] / Math.max(1e-12, this.#envelope[half + i]));
  }
}

// Discrete Fourier transform of any length by its prime factors (Cooley and Tukey 1965): windows are no powers of 2 at
// 44.1 and 48 kHz.
class Fourier {
  constructor(length) {
    this.length = length;
    this.cosines = Float64Array.from({ length }, (_, i) => Math.cos((2 * Math.PI * i) / length));
    this.sines = Float64Array.from({ length }, (_, i) => -Math.sin((2 * Math.PI * i) / length));
    this.factors = [];
    let rest = length;
    for (const factor of [4, ...Array(length + 1).keys()].filter((one) => one > 1)) {
      for (; rest % factor === 0; rest /= factor) this.factors.push(factor);
    }
    this.ends = [new Float64Array(length), new Float64Array(length)];
    this.spare = [new Float64Array(length), new Float64Array(length)];
  }

  // Real and imaginary part; they are overwritten by the next call.
  of(real, imaginary) {
    const { length, cosines, sines } = this;
    let from = [real, imaginary];
    let to = this.ends;
    let done = 1;
    for (const factor of this.factors) {
      const [fromReal, fromImaginary] = from;
      const [toReal, toImaginary] = to;
      const rest = length / done / factor;
      const turns = new Int32Array(factor * factor);
      for (let k = 0; k < done; k++) {
        for (let i = 0; i < turns.length; i++) {
          turns[i] = ((i % factor) * (k + Math.floor(i / factor) * done) * rest) % length;
        }
        for (let n = 0; n < rest; n++) {
          for (let q = 0; q < factor; q++) {
            let sumReal = 0;
            let sumImaginary = 0;
            for (let p = 0, at = k * factor * rest + n; p < factor; p++, at += rest) {
              const turn = turns[q * factor + p];
              sumReal += fromReal[at] * cosines[turn] - fromImaginary[at] * sines[turn];
              sumImaginary += fromReal[at] * sines[turn] + fromImaginary[at] * cosines[turn];
            }
            const place = (k + q * done) * rest + n;
            toReal[place] = sumReal;
            toImaginary[place] = sumImaginary;
          }
        }
      }
      done *= factor;
      from = to;
      to = to === this.ends ? this.spare : this.ends;
    }
    return from;
  }
}
