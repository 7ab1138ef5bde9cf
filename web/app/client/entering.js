/**
 * Entering a room. What a room needs is fetched when the first one is entered, or a little before.
 */

/** @typedef {import("./room.js").Room} Room */
/** @typedef {import("./room.js").Handlers} Handlers */

/** Fetches what a room needs. */
export const prepareRoom = () => import("./room.js");

/** See `createRoom` in `room.js`. @param {string} origin @param {import("./room.js").NewRoom} wanted @param {Handlers} handlers @returns {Promise<Room>} */
export const createRoom = async (origin, wanted, handlers) => (await prepareRoom()).createRoom(origin, wanted, handlers);

/** See `joinRoom` in `room.js`. @param {string} origin @param {import("../sealed/link.js").Link} link @param {string} name @param {Handlers} handlers @returns {Promise<Room>} */
export const joinRoom = async (origin, link, name, handlers) => (await prepareRoom()).joinRoom(origin, link, name, handlers);
