"use strict";

// Cells of a clip that are erased with a brush, by pointer or by keys, on every panel's picture at once.
class Eraser {
  static MOST_UNDONE = 60;
  static LEAST_RADIUS = 6;
  static LARGEST_RADIUS = 80;
  #last = null; // where the brush was in this stroke
  #undone = [];
  restores = false;
  radius = 24; // of the brush, in pixels of the page

  // `onchange` is told of every change, and `onmove` where the brush is that keys move: shares of the picture from its
  // left and its upper edge.
  constructor(panels, onchange, onmove) {
    this.panels = panels;
    this.onchange = onchange;
    this.onmove = onmove;
    this.layers = panels.map((panel, side) => this.#layer(panel, side));
    this.reset([1, 2]);
  }

  get isBrushing() {
    return this.#last !== null;
  }

  get canUndo() {
    return this.#undone.length > 0;
  }

  get isEmpty() {
    return !this.mask.includes(1);
  }

  // Another clip, whose picture lies in those of the panels at `extents`.
  reset([bands, frames], extents = this.panels.map(() => [0, 0, 1, 1])) {
    Object.assign(this, { bands, frames, extents, cursor: null });
    this.mask = new Uint8Array(bands * frames);
    this.#undone = [];
    this.#last = null;
  }

  undo() {
    if (!this.canUndo) return;
    this.mask = this.#undone.pop();
    this.onchange();
  }

  invert() {
    this.#remember();
    this.mask = this.mask.map((value) => 1 - value);
    this.onchange();
  }

  clear() {
    this.#remember();
    this.mask = new Uint8Array(this.mask.length);
    this.onchange();
  }

  // One bit for each cell, row by row from the lowest band, as base64; what is not erased where `inverted`.
  packed(inverted) {
    const packed = new Uint8Array(Math.ceil(this.mask.length / 8));
    this.mask.forEach((value, cell) => {
      if (Boolean(value) !== inverted) packed[cell >> 3] |= 128 >> (cell & 7);
    });
    return btoa(String.fromCharCode(...packed));
  }

  draw() {
    this.layers.forEach((layer, side) => this.#drawLayer(layer, side));
  }

  #remember() {
    this.#undone.push(this.mask.slice());
    if (this.#undone.length > Eraser.MOST_UNDONE) this.#undone.shift();
  }

  #layer(panel, side) {
    const plot = panel.querySelector(".plot");
    const layer = Object.assign(document.createElement("canvas"), { className: "eraser", tabIndex: 0 });
    layer.setAttribute("role", "application");
    layer.setAttribute("aria-describedby", "keys");
    plot.insertBefore(layer, plot.querySelector(".playhead"));
    const place = (event) => {
      const box = layer.getBoundingClientRect();
      return this.#shared([(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height], side);
    };
    layer.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      if (event.button !== 0 || event.isPrimary === false) return;
      layer.setPointerCapture(event.pointerId);
      this.#remember();
      this.#last = place(event);
      this.cursor = null;
      this.#stroke(this.#last, layer, side, this.restores || event.shiftKey);
    });
    layer.addEventListener("pointermove", (event) => {
      if (!this.#last || !layer.hasPointerCapture(event.pointerId)) return;
      for (const one of event.getCoalescedEvents?.().length ? event.getCoalescedEvents() : [event]) {
        this.#stroke(place(one), layer, side, this.restores || event.shiftKey);
      }
    });
    const end = () => {
      if (!this.#last) return;
      this.#last = null;
      this.onchange();
    };
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) layer.addEventListener(name, end);
    layer.addEventListener("keydown", (event) => this.#key(event, layer, side));
    layer.addEventListener("focus", () => {
      if (!layer.matches(":focus-visible")) return;
      this.cursor ??= [0.5, 0.5];
      this.draw();
      this.onmove(this.cursor);
    });
    layer.addEventListener("blur", () => this.draw());
    return layer;
  }

  // From a place in a panel's picture to that in the first one's.
  #shared([x, y], side) {
    const [left, top, right, bottom] = this.extents[side];
    return [(x - left) / (right - left), (y - top) / (bottom - top)];
  }

  #key(event, layer, side) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const others = { u: () => this.undo(), i: () => this.invert(), "+": () => this.resize(4), "-": () => this.resize(-4) };
    const letter = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey || event.altKey) {
      if (letter !== "z" || event.altKey || event.shiftKey) return;
      this.undo();
    } else if (event.key in steps) {
      this.cursor ??= [0.5, 0.5];
      const [right, down] = steps[event.key];
      const [x, y] = event.shiftKey ? [1 / (this.frames - 1), 1 / (this.bands + 1)] : this.#size(layer, side);
      this.cursor = [this.cursor[0] + right * x, this.cursor[1] + down * y].map((share) => Math.max(0, Math.min(1, share)));
      this.draw();
      this.onmove(this.cursor);
    } else if (["Enter", "Backspace", "Delete"].includes(event.key)) {
      this.cursor ??= [0.5, 0.5];
      this.#remember();
      this.#dab(this.cursor, this.#size(layer, side), event.key !== "Enter" ? 0 : 1);
      this.onchange();
    } else if (letter in others) {
      others[letter]();
    } else return;
    event.preventDefault();
  }

  resize(by) {
    this.radius = Math.max(Eraser.LEAST_RADIUS, Math.min(Eraser.LARGEST_RADIUS, this.radius + by));
    this.draw();
    this.onsize?.(this.radius);
  }

  // The brush's radii as shares of the first picture.
  #size(layer, side) {
    const [left, top, right, bottom] = this.extents[side];
    return [this.radius / layer.clientWidth / (right - left), this.radius / layer.clientHeight / (bottom - top)];
  }

  #stroke(place, layer, side, restores) {
    const size = this.#size(layer, side);
    const [from, to] = [this.#last, place];
    const steps = Math.max(1, Math.ceil(2 * Math.max(...[0, 1].map((axis) => Math.abs(to[axis] - from[axis]) / size[axis]))));
    for (let step = 0; step <= steps; step++) {
      this.#dab([0, 1].map((axis) => from[axis] + ((to[axis] - from[axis]) * step) / steps), size, restores ? 0 : 1);
    }
    this.#last = place;
    this.onchange();
  }

  // Every cell whose centre is under the brush, and the one in its middle.
  #dab([x, y], [width, height], value) {
    const { bands, frames, mask } = this;
    for (let frame = 0; frame < frames; frame++) {
      const across = (frame / (frames - 1) - x) / width;
      if (Math.abs(across) > 1) continue;
      for (let band = 0; band < bands; band++) {
        const along = (1 - (band + 1) / (bands + 1) - y) / height;
        if (across ** 2 + along ** 2 <= 1) mask[band * frames + frame] = value;
      }
    }
    const middle = [Math.round((1 - y) * (bands + 1)) - 1, Math.round(x * (frames - 1))];
    const [band, frame] = [Math.max(0, Math.min(bands - 1, middle[0])), Math.max(0, Math.min(frames - 1, middle[1]))];
    if (x >= 0 && x <= 1 && y >= 0 && y <= 1) mask[band * frames + frame] = value;
  }

  #drawLayer(layer, side) {
    if (!layer.clientWidth) return;
    const context = sized(layer);
    const { width, height } = layer;
    const [left, top, right, bottom] = this.extents[side];
    const { bands, frames, mask } = this;
    const place = ([x, y]) => [(left + x * (right - left)) * width, (top + y * (bottom - top)) * height];
    // Cells lie around their centres, so that the picture of all reaches half a cell beyond the first and the last frame.
    const half = 0.5 / (frames - 1);
    const [x0, y0] = place([-half, 0.5 / (bands + 1)]);
    const [x1, y1] = place([1 + half, 1 - 0.5 / (bands + 1)]);
    context.imageSmoothingEnabled = false;
    const isErased = (row, frame) => mask[(bands - 1 - row) * frames + frame] === 1;
    context.drawImage(cellsPicture(bands, frames, pageColour(), isErased), x0, y0, x1 - x0, y1 - y0);
    this.#outline(context, isErased, [x0, y0, (x1 - x0) / frames, (y1 - y0) / bands]);
    if (!this.cursor || document.activeElement !== layer) return;
    const [cx, cy] = place(this.cursor);
    const radius = this.radius * (window.devicePixelRatio || 1);
    for (const [colour, line] of [["#ffffff", 4], ["#111111", 2]]) {
      Object.assign(context, { strokeStyle: colour, lineWidth: line });
      context.beginPath();
      context.arc(cx, cy, radius, 0, 2 * Math.PI);
      context.moveTo(cx - 4, cy);
      context.lineTo(cx + 4, cy);
      context.moveTo(cx, cy - 4);
      context.lineTo(cx, cy + 4);
      context.stroke();
    }
  }

  // A line around what is erased, which is seen where the picture has the colour of the page.
  #outline(context, isErased, [x0, y0, width, height]) {
    const { bands, frames } = this;
    context.beginPath();
    for (let row = 0; row < bands; row++) {
      for (let frame = 0; frame < frames; frame++) {
        if (!isErased(row, frame)) continue;
        const [x, y] = [x0 + frame * width, y0 + row * height];
        const line = (ax, ay, bx, by) => {
          context.moveTo(ax, ay);
          context.lineTo(bx, by);
        };
        if (row === 0 || !isErased(row - 1, frame)) line(x, y, x + width, y);
        if (row === bands - 1 || !isErased(row + 1, frame)) line(x, y + height, x + width, y + height);
        if (frame === 0 || !isErased(row, frame - 1)) line(x, y, x, y + height);
        if (frame === frames - 1 || !isErased(row, frame + 1)) line(x + width, y, x + width, y + height);
      }
    }
    Object.assign(context, { strokeStyle: getComputedStyle(document.body).color, lineWidth: 1.5 });
    context.stroke();
  }
}
