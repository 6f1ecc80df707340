"use strict";

// Button, line below the waveform, time and playheads of one player: everything that shows or moves the place.
class Transport {
  #frame = 0;
  #samples = null;
  #label = "";
  #height = 1;

  // `plots`: what the playhead crosses, with the share of its width at a time, and the time at a share where a click seeks.
  constructor(plots) {
    this.player = new Player(() => this.show());
    const element = (id) => document.getElementById(id);
    element("play").addEventListener("click", () => (this.player.isPlaying ? this.player.pause() : this.player.play()));
    element("position").addEventListener("input", ({ target }) => this.player.seek(target.value * this.player.duration));
    element("repeat").addEventListener("change", ({ target }) => this.player.setRepeat(target.checked));
    this.wave = element("wave");
    const whole = { share: (seconds) => seconds / this.player.duration, seconds: (share) => share * this.player.duration };
    this.plots = [{ plot: this.wave.parentElement, ...whole }, ...plots];
    for (const one of this.plots) this.#seekOnClick(one);
  }

  // Another sound, which goes on where the last one was; its waveform is as high as its box where it reaches `height`.
  use(buffer, label, height = 1) {
    this.#samples = buffer.getChannelData(0);
    this.#label = label;
    this.#height = height;
    this.player.use(buffer);
    this.drawWave();
  }

  drawWave() {
    if (!this.#samples) return;
    const colour = getComputedStyle(document.getElementById("play")).backgroundColor;
    drawWave(this.wave, this.#samples, colour, this.#height);
    this.wave.setAttribute("aria-label", `Waveform of ${this.#label}`);
  }

  show() {
    const { place, duration, isPlaying } = this.player;
    document.getElementById("play").textContent = isPlaying ? "Pause" : "Play";
    const slider = document.getElementById("position");
    slider.value = duration ? place / duration : 0;
    slider.setAttribute("aria-valuetext", `${place.toFixed(2)} of ${duration.toFixed(2)} seconds`);
    document.getElementById("time").textContent = `${place.toFixed(2)} / ${duration.toFixed(2)} s`;
    for (const { plot, share } of this.plots) {
      const reached = duration ? Math.max(0, Math.min(1, share(place))) : 0;
      plot.querySelector(".playhead").style.left = `${100 * reached}%`;
    }
    if (!isPlaying) return;
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.show());
  }

  #seekOnClick({ plot, seconds }) {
    if (!seconds) return;
    plot.addEventListener("pointerdown", (event) => {
      if (!this.player.duration || event.button !== 0) return;
      const box = plot.getBoundingClientRect();
      this.player.seek(seconds((event.clientX - box.left) / box.width));
    });
  }
}

// FLAC or any other sound that the browser reads, as an AudioBuffer at `rate`.
const decode = (data, rate) => new OfflineAudioContext(1, 1, rate).decodeAudioData(bytesOf(data).buffer);

// One radio button for each choice [value, label] behind the legend of a fieldset.
const offer = (fieldset, name, choices, chosen, onchange) => {
  fieldset.querySelectorAll("label").forEach((label) => label.remove());
  for (const [value, text] of choices) {
    const choice = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name, value });
    input.checked = value === chosen;
    input.addEventListener("change", () => onchange(value));
    choice.append(input, Object.assign(document.createElement("span"), { textContent: text }));
    fieldset.append(choice);
  }
};
