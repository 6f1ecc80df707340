"use strict";

// The microphone, until it is stopped or `longestS` is over; what it heard comes as a WAV file, which the server reads
// where it does not read what browsers record.
class Recorder {
  #recorder = null;

  // `onprogress(seconds, level)` is told ten times a second, the level from 0 to 1.
  constructor(longestS, onprogress) {
    this.longestS = longestS;
    this.onprogress = onprogress;
  }

  get isRecording() {
    return this.#recorder !== null;
  }

  // A promise of the recording, which begins at once.
  async record() {
    if (!navigator.mediaDevices) throw new Error("the browser lets pages use the microphone on this machine or over HTTPS only; choose a file");
    const constraints = { audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } };
    const stream = await navigator.mediaDevices.getUserMedia(constraints).catch((error) => {
      throw new Error(`the microphone cannot be used (${error.message}); allow it, or choose a file`);
    });
    const context = new AudioContext();
    try {
      const heard = await this.#recorded(stream, context);
      return Recorder.#wav(await context.decodeAudioData(heard));
    } catch (error) {
      throw new Error(`the recording cannot be read (${error.message}); record again, or choose a file`);
    } finally {
      this.#recorder = null;
      for (const track of stream.getTracks()) track.stop();
      context.close();
    }
  }

  // What the browser recorded, in its own format.
  async #recorded(stream, context) {
    this.#recorder = new MediaRecorder(stream);
    const analyser = new AnalyserNode(context, { fftSize: 1024 });
    new MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(analyser);
    const started = performance.now();
    const samples = new Float32Array(analyser.fftSize);
    const parts = [];
    this.#recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
    const stopped = new Promise((resolve) => this.#recorder.addEventListener("stop", resolve));
    this.#recorder.start();
    const timer = setInterval(() => {
      const seconds = (performance.now() - started) / 1000;
      analyser.getFloatTimeDomainData(samples);
      this.onprogress(seconds, Math.min(1, peak(samples)));
      if (seconds >= this.longestS) this.stop();
    }, 100);
    await stopped;
    clearInterval(timer);
    return new Blob(parts).arrayBuffer();
  }

  stop() {
    if (this.#recorder?.state === "recording") this.#recorder.stop();
  }

  // The first channel with 32-bit floats.
  static #wav(heard) {
    const samples = heard.getChannelData(0);
    const view = new DataView(new ArrayBuffer(44 + 4 * samples.length));
    const text = (at, letters) => [...letters].forEach((letter, place) => view.setUint8(at + place, letter.charCodeAt(0)));
    text(0, "RIFF");
    view.setUint32(4, 36 + 4 * samples.length, true);
    text(8, "WAVEfmt ");
    view.setUint32(16, 16, true);
    view.setUint16(20, 3, true);
    view.setUint16(22, 1, true);
    view.setUint32(24, heard.sampleRate, true);
    view.setUint32(28, 4 * heard.sampleRate, true);
    view.setUint16(32, 4, true);
    view.setUint16(34, 32, true);
    text(36, "data");
    view.setUint32(40, 4 * samples.length, true);
    samples.forEach((sample, place) => view.setFloat32(44 + 4 * place, sample, true));
    return new Blob([view.buffer], { type: "audio/wav" });
  }
}
