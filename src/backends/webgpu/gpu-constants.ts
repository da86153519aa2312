/** Flags of the WebGPU specification: Node has no globals for them. */

export const BUFFER_USAGE = {
  MAP_READ: 0x1,
  COPY_SRC: 0x4,
  COPY_DST: 0x8,
  UNIFORM: 0x40,
  STORAGE: 0x80,
} as const;

export const MAP_MODE_READ = 1;

/** Default of minUniformBufferOffsetAlignment and minStorageBufferOffsetAlignment. */
export const OFFSET_ALIGNMENT = 256;

/** Sizes of buffers, copies and writes are multiples of it. */
export const COPY_ALIGNMENT = 4;
