/**
 * Turns a screenshot into a film that Chromium's fake camera shows: PNG in, YUV4MPEG2 out, in grey.
 */
import { inflateSync } from "node:zlib";

const WIDTH = 1280;
const HEIGHT = 960;
const FRAMES = 2;

/** A screenshot's brightness, row by row. PNG as Chromium writes it: 8 bits a channel, not interlaced. */
function grey(png) {
  let width, height, channels;
  const data = [];
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at);
    const type = png.toString("latin1", at + 4, at + 8);
    const chunk = png.subarray(at + 8, at + 8 + length);
    if (type === "IHDR") {
      [width, height, channels] = [chunk.readUInt32BE(0), chunk.readUInt32BE(4), chunk[9] === 6 ? 4 : 3];
    } else if (type === "IDAT") {
      data.push(chunk);
    }
    at += 12 + length;
  }
  const raw = inflateSync(Buffer.concat(data));
  const stride = width * channels;
  const pixels = Buffer.alloc(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)];
    for (let x = 0; x < stride; x++) {
      const left = x >= channels ? pixels[y * stride + x - channels] : 0;
      const up = y > 0 ? pixels[(y - 1) * stride + x] : 0;
      const corner = y > 0 && x >= channels ? pixels[(y - 1) * stride + x - channels] : 0;
      pixels[y * stride + x] = raw[y * (stride + 1) + 1 + x] + predict(filter, left, up, corner);
    }
  }
  return { width, height, at: (x, y) => pixels[y * stride + x * channels] };
}

/** The filters of PNG (section 9 of its specification). */
function predict(filter, left, up, corner) {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

/** @param {Buffer} png */
export function filmOf(png) {
  const picture = grey(png);
  const scale = Math.min((WIDTH * 0.8) / picture.width, (HEIGHT * 0.8) / picture.height);
  const [left, top] = [(WIDTH - picture.width * scale) / 2, (HEIGHT - picture.height * scale) / 2];
  const luma = Buffer.alloc(WIDTH * HEIGHT, 235);
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      const [px, py] = [Math.floor((x - left) / scale), Math.floor((y - top) / scale)];
      if (px < 0 || py < 0 || px >= picture.width || py >= picture.height) continue;
      luma[y * WIDTH + x] = 16 + (picture.at(px, py) * 219) / 255;
    }
  }
  const frame = Buffer.concat([Buffer.from("FRAME\n"), luma, Buffer.alloc((WIDTH * HEIGHT) / 2, 128)]);
  return Buffer.concat([Buffer.from(`YUV4MPEG2 W${WIDTH} H${HEIGHT} F10:1 Ip A1:1 C420jpeg\n`), ...Array(FRAMES).fill(frame)]);
}
