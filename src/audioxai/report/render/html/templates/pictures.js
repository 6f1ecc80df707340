"use strict";

// Pictures of levels with maps over them, waveforms, axes and colour scales, in the colours of the page.
const isDark = () => {
  const { theme } = document.documentElement.dataset;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};
const bytesOf = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

// A canvas with as many pixels as the screen has where it stands.
const sized = (canvas) => {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  return canvas.getContext("2d");
};

class Pictures {
  #palettes;

  constructor(packed) {
    this.#palettes = Object.fromEntries(Object.entries(packed).map(([name, text]) => [name, bytesOf(text)]));
  }

  #palette(name) {
    return this.#palettes[isDark() ? `dark${name[0].toUpperCase()}${name.slice(1)}` : name];
  }

  // Levels, lightest or darkest at their lower end as the page is.
  levels({ shape, levels, upwards }) {
    const values = bytesOf(levels);
    const palette = this.#palette("levels");
    return Pictures.#drawn(shape, (cell) => [...palette.subarray(3 * values[cell], 3 * values[cell] + 3), 255], upwards);
  }

  // A map in red (for) and blue (against), transparent towards zero. What speaks against is hatched as well, so that
  // both are told apart where colours are not.
  map({ shape, upwards }, map) {
    const values = new Int8Array(bytesOf(map).buffer);
    const palette = this.#palette("map");
    const alpha = (share) => Math.round(255 * Math.sqrt(Math.abs(share)));
    const coloured = (cell) => {
      const colour = Math.round(127.5 * (values[cell] / 127 + 1));
      return [...palette.subarray(3 * colour, 3 * colour + 3), alpha(values[cell] / 127)];
    };
    const against = (cell) => [0, 0, 0, values[cell] <= -Pictures.LEAST_HATCHED ? alpha(values[cell] / 127) : 0];
    return { colours: Pictures.#drawn(shape, coloured, upwards), against: Pictures.#drawn(shape, against, upwards) };
  }

  // Levels over the whole canvas and the map where it lies: [left, top, right, bottom] as shares of the canvas. Levels
  // that are no cells of the map are smooth; there may be no map yet.
  draw(canvas, levels, map, { opacity, extent = [0, 0, 1, 1], smooth = false }) {
    const context = sized(canvas);
    const { width, height } = canvas;
    const [left, top, right, bottom] = extent;
    const place = [left * width, top * height, (right - left) * width, (bottom - top) * height];
    context.imageSmoothingEnabled = smooth;
    context.drawImage(levels, 0, 0, width, height);
    if (!map) return;
    context.imageSmoothingEnabled = false;
    context.globalAlpha = opacity;
    context.drawImage(map.colours, ...place);
    context.drawImage(this.#hatched(map.against, width, height, place), 0, 0);
  }

  // Thin lines where `against` is opaque, each dark beside light, so that they stand out from every colour.
  #hatched(against, width, height, place) {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d");
    const ratio = window.devicePixelRatio || 1;
    context.imageSmoothingEnabled = false;
    context.drawImage(against, ...place);
    context.globalCompositeOperation = "source-in";
    const lines = Object.assign(document.createElement("canvas"), { width, height });
    const drawn = lines.getContext("2d");
    drawn.lineWidth = ratio;
    for (const [colour, offset] of [["#021d38", 0], ["#ffffff", 1.4 * ratio]]) {
      drawn.strokeStyle = colour;
      drawn.beginPath();
      for (let x = -height + offset; x < width; x += 6 * ratio) {
        drawn.moveTo(x, height);
        drawn.lineTo(x + height, 0);
      }
      drawn.stroke();
    }
    context.drawImage(lines, 0, 0);
    return canvas;
  }

  // Lines over what is next to nothing would be all that is seen of it.
  static LEAST_HATCHED = 8;

  scale(canvas, name) {
    const palette = this.#palette(name);
    const context = canvas.getContext("2d");
    for (let step = 0; step < 256; step++) {
      context.fillStyle = `rgb(${palette.subarray(3 * step, 3 * step + 3).join(" ")})`;
      context.fillRect(step, 0, 1, 1);
    }
  }

  static #drawn([rows, columns], pixel, upwards) {
    const canvas = Object.assign(document.createElement("canvas"), { width: columns, height: rows });
    const context = canvas.getContext("2d");
    const image = context.createImageData(columns, rows);
    for (let row = 0; row < rows; row++) {
      const line = upwards ? rows - 1 - row : row;
      for (let column = 0; column < columns; column++) {
        image.data.set(pixel(row * columns + column), 4 * (line * columns + column));
      }
    }
    context.putImageData(image, 0, 0);
    return canvas;
  }
}

// Largest and smallest sample of every column of pixels.
const drawWave = (canvas, samples, colour, height) => {
  const context = sized(canvas);
  const middle = canvas.height / 2;
  context.fillStyle = colour;
  for (let x = 0; x < canvas.width; x++) {
    const from = Math.floor((x * samples.length) / canvas.width);
    const to = Math.max(from + 1, Math.floor(((x + 1) * samples.length) / canvas.width));
    let low = 0;
    let high = 0;
    for (let sample = from; sample < to; sample++) {
      low = Math.min(low, samples[sample]);
      high = Math.max(high, samples[sample]);
    }
    context.fillRect(x, middle * (1 - high / height), 1, Math.max(1, (middle * (high - low)) / height));
  }
};

const showAxis = (box, axis, place) => {
  box.querySelector(".axis-name").textContent = axis.unit ? `${axis.name} (${axis.unit})` : axis.name;
  box.querySelector(".ticks").replaceChildren(
    ...axis.ticks.map(([share, label]) => {
      const tick = Object.assign(document.createElement("span"), { textContent: label });
      place(tick, share);
      return tick;
    }),
  );
};

// Both axes of a panel; rows are counted from below where `upwards`.
const showAxes = (panel, { rows, columns, upwards }) => {
  showAxis(panel.querySelector(".row-axis"), rows, (tick, share) => {
    tick.style.top = `${100 * (upwards ? 1 - share : share)}%`;
  });
  showAxis(panel.querySelector(".column-axis"), columns, (tick, share) => {
    tick.style.left = `${100 * share}%`;
  });
};

const signedText = (value) => `${value}`.replace("-", "−");

const showLevelScale = ([low, high], unit) => {
  document.getElementById("level-low").textContent = signedText(low);
  document.getElementById("level-high").textContent = `${signedText(high)} ${unit}`;
};
