"use strict";

// Plays one of several sounds of the same length; another sound takes over at the very place where the first one was.
class Player {
  #context = null;
  #playing = null; // { source, gain, startedAt, from } of the sound that is heard
  #buffer = null;
  #place = 0; // seconds, while nothing is heard
  #call = 0; // counts what was asked for, so that a slow answer to an older request is dropped
  repeat = true;

  constructor(onchange) {
    this.onchange = onchange;
  }

  get duration() {
    return this.#buffer ? this.#buffer.duration : 0;
  }

  get isPlaying() {
    return this.#playing !== null;
  }

  // Seconds into the sound that is being heard now, the way to the loudspeaker taken off.
  get place() {
    if (!this.#playing) return this.#place;
    const { startedAt, from } = this.#playing;
    const delay = this.#context.outputLatency || 0;
    const reached = from + Math.max(0, this.#context.currentTime - startedAt - delay);
    return this.repeat ? reached % this.duration : Math.min(reached, this.duration);
  }

  // Takes over another sound; what is playing goes on in it without losing its place.
  use(buffer) {
    const place = this.place;
    this.#buffer = buffer;
    if (this.#playing) this.#start(Math.min(place, this.duration));
    else this.#place = Math.min(place, this.duration);
    this.onchange();
  }

  async play() {
    const call = ++this.#call;
    this.#context ??= new AudioContext();
    if (this.#context.state !== "running") await this.#context.resume();
    if (call !== this.#call || !this.#buffer || this.#playing) return;
    this.#start(this.#place >= this.duration - 0.01 ? 0 : this.#place);
    this.onchange();
  }

  pause() {
    this.#call++;
    this.#place = this.place;
    this.#stop();
    this.onchange();
  }

  seek(place) {
    const wanted = Math.max(0, Math.min(place, this.duration));
    if (this.#playing) this.#start(wanted);
    else this.#place = wanted;
    this.onchange();
  }

  setRepeat(wanted) {
    const place = this.place;
    this.repeat = wanted;
    if (this.#playing) this.#start(place);
  }

  #start(from) {
    this.#stop();
    const now = this.#context.currentTime;
    const gain = new GainNode(this.#context, { gain: 0 });
    const source = new AudioBufferSourceNode(this.#context, { buffer: this.#buffer, loop: this.repeat });
    gain.gain.setValueAtTime(0, now);
    gain.gain.linearRampToValueAtTime(1, now + Player.FADE_S);
    source.connect(gain).connect(this.#context.destination);
    source.onended = () => {
      if (this.#playing?.source === source) this.#end();
    };
    source.start(now, from);
    this.#playing = { source, gain, startedAt: now, from };
  }

  #end() {
    this.#playing = null;
    this.#place = this.duration;
    this.onchange();
  }

  #stop() {
    if (!this.#playing) return;
    const { source, gain } = this.#playing;
    this.#playing = null;
    const now = this.#context.currentTime;
    gain.gain.cancelScheduledValues(now);
    gain.gain.setValueAtTime(gain.gain.value, now);
    gain.gain.linearRampToValueAtTime(0, now + Player.FADE_S);
    source.stop(now + Player.FADE_S);
  }

  // A click-free change from one sound to the next.
  static FADE_S = 0.008;
}
