"use strict";

// What a page plays of a clip: the whole, and what a map keeps or removes, filtered here for any share.
const LARGEST_PEAK = 10 ** (-1 / 20);
const PARTS = { original: "Original", kept: "Kept", removed: "Removed" };

const power = (samples) => samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
const peak = (samples) => samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);

// Gain of a part of a clip: as loud (by its mean power) as the whole where `loud`, else as soft as it is beside it, with
// no peak above what all sounds may have. Soft recordings are played louder.
const gainOf = (part, samples, loud) => {
  const louder = LARGEST_PEAK / peak(samples);
  const [own, highest] = [power(part), peak(part)];
  if (!loud) return Math.min(louder, LARGEST_PEAK / highest);
  return own > 0 ? Math.min(louder * Math.sqrt(power(samples) / own), LARGEST_PEAK / highest) : 1;
};

// A part with its gain, ready to be played, and the gain in words.
const amplified = (part, gain, rateHz) => {
  const buffer = new AudioBuffer({ length: part.length, sampleRate: rateHz });
  buffer.copyToChannel(part.map((sample) => sample * gain), 0);
  const decibels = 20 * Math.log10(gain);
  const way = decibels > 0 ? "louder" : "softer";
  const told = Math.abs(decibels) < 0.5 ? "" : `, played ${Math.abs(decibels).toFixed(0)} dB ${way} than it is`;
  return { buffer, told };
};

// Parts of one explained clip.
class ClipSounds {
  #ready = null;

  constructor(view) {
    this.view = view;
  }

  // The recording, its transform, and the order of its bins by every class; read once.
  #read() {
    this.#ready ??= ClipSounds.#reading(this.view);
    return this.#ready;
  }

  static async #reading(view) {
    const original = await decode(view.sound, view.rateHz);
    const orders = await Promise.all((view.classes ?? []).map((one) => ClipSounds.#keptFrom(one, view.stft.frames)));
    return { samples: original.getChannelData(0), transform: orders.length ? new Stft(view.stft, original.getChannelData(0)) : null, orders };
  }

  // From which whole percentage on each bin is kept: bytes were stored as differences along time.
  static async #keptFrom(one, frames) {
    const stream = new Blob([bytesOf(one.keptFrom)]).stream().pipeThrough(new DecompressionStream("deflate"));
    const values = new Uint8Array(await new Response(stream).arrayBuffer());
    for (let at = 0; at < values.length; at++) if (at % frames) values[at] += values[at - 1];
    return values;
  }

  async original() {
    return (await this.#read()).samples;
  }

  // What is heard, and how much louder than it is.
  async heard({ sound, percent, loud, chosen }) {
    const { samples, transform, orders } = await this.#read();
    let part = samples;
    if (sound !== "original") {
      const kept = transform.filtered((bin) => orders[chosen][bin] <= percent);
      part = sound === "kept" ? kept : samples.map((sample, at) => sample - kept[at]);
    }
    return amplified(part, gainOf(part, samples, loud), this.view.rateHz);
  }

  // A picture that covers what is not heard with the colour of the page; null for the whole clip.
  async faded({ sound, percent, chosen }) {
    if (sound === "original") return null;
    const { rowBins, stft } = this.view;
    const order = (await this.#read()).orders[chosen];
    const rows = rowBins.length;
    return cellsPicture(rows, stft.frames, pageColour(), (row, frame) => {
      const isKept = order[rowBins[rows - 1 - row] * stft.frames + frame] <= percent;
      return isKept !== (sound === "kept");
    });
  }

  // Draws such a picture over a map's canvas.
  cover(canvas, faded) {
    const { hopLength, samples, frames } = this.view.stft;
    const step = (canvas.width * hopLength) / samples;
    canvas.getContext("2d").drawImage(faded, -step / 2, 0, frames * step, canvas.height);
  }
}

const toldOf = ({ sound, percent }, gain) => {
  const which = {
    original: "The recording",
    kept: `The most relevant ${percent} %`,
    removed: `The sound without its most relevant ${percent} %`,
  };
  return `${which[sound]}${gain}.`;
};

const COVER = 205;
const pageColour = () => [...getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number).slice(0, 3), COVER];

// A picture with a colour [red, green, blue, opacity] in the cells that are covered, counted from above.
const cellsPicture = (rows, columns, colour, isCovered) => {
  const canvas = Object.assign(document.createElement("canvas"), { width: columns, height: rows });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (isCovered(row, column)) image.data.set(colour, 4 * (row * columns + column));
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
};

// Makes one thing at a time; what is asked for meanwhile is made once, afterwards. `make` is given whether a newer wish
// has come up.
const newest = (make) => {
  let making = false;
  let stale = false;
  return async () => {
    stale = true;
    if (making) return;
    making = true;
    while (stale) {
      stale = false;
      await make(() => stale);
    }
    making = false;
  };
};
