/** Shaders to pipelines, each compiled once for a device, in the background, when it is first asked for. */
import { PronkError } from "../../errors.ts";
import { SHADERS, type ShaderName } from "./shaders.gen.ts";

export interface KernelSpec {
  /** The op's shader. */
  readonly op: ShaderName;
  /** What it is read together with: how weights or caches lie. */
  readonly parts?: readonly ShaderName[];
  /** Values of its `override`s. */
  readonly constants?: Readonly<Record<string, number | boolean>>;
}

/** A pipeline, there when `PipelineCache.ready` has resolved. */
export interface Kernel {
  readonly name: string;
  /** @throws PronkError "engine_failed" before. */
  readonly pipeline: GPUComputePipeline;
}

class CompiledKernel implements Kernel {
  readonly name: string;
  /** Settles when it is compiled. */
  readonly compiled: Promise<void>;
  #pipeline: GPUComputePipeline | undefined;

  constructor(name: string, pipeline: Promise<GPUComputePipeline>) {
    this.name = name;
    this.compiled = pipeline.then((made) => {
      this.#pipeline = made;
    });
    // Whoever needs it asks.
    this.compiled.catch(() => {});
  }

  get pipeline(): GPUComputePipeline {
    if (this.#pipeline) return this.#pipeline;
    throw new PronkError("engine_failed", `webgpu: ${this.name} is not compiled`);
  }
}

/** What all runners of a device share. */
interface DeviceShaders {
  readonly kernels: Map<string, CompiledKernel>;
  readonly modules: Map<string, GPUShaderModule>;
}

const shadersOf = new WeakMap<GPUDevice, DeviceShaders>();

/** The kernels of one runner. */
export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #shaders: DeviceShaders;
  #pending = new Set<CompiledKernel>();

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#shaders = shadersOf.get(device) ?? { kernels: new Map(), modules: new Map() };
    shadersOf.set(device, this.#shaders);
  }

  kernel({ op, parts = [], constants = {} }: KernelSpec): Kernel {
    const { kernels } = this.#shaders;
    const key = JSON.stringify([op, parts, constants]);
    let kernel = kernels.get(key);
    if (!kernel) {
      const name = [op, ...parts].join("+");
      const own = new CompiledKernel(name, this.#compile(name, [...parts, op], constants));
      kernels.set(key, own);
      // A later runner tries again.
      own.compiled.catch(() => kernels.get(key) === own && kernels.delete(key));
      kernel = own;
    }
    this.#pending.add(kernel);
    return kernel;
  }

  /** @throws PronkError "engine_failed" with the compiler's message. */
  async ready(): Promise<void> {
    while (this.#pending.size > 0) {
      const pending = [...this.#pending];
      this.#pending.clear();
      await Promise.all(pending.map(({ compiled }) => compiled));
    }
  }

  async #compile(
    name: string,
    sources: readonly ShaderName[],
    given: Readonly<Record<string, number | boolean>>,
  ): Promise<GPUComputePipeline> {
    const constants = Object.fromEntries(
      Object.entries(given).map(([constant, value]) => [constant, Number(value)]),
    );
    const compute = { module: this.#module(sources), entryPoint: "main", constants };
    try {
      return await this.#device.createComputePipelineAsync({
        label: name,
        layout: "auto",
        compute,
      });
    } catch (cause) {
      throw new PronkError("engine_failed", `webgpu: ${name}: ${String(cause)}`, { cause });
    }
  }

  #module(names: readonly ShaderName[]): GPUShaderModule {
    const { modules } = this.#shaders;
    const key = names.join("+");
    let module = modules.get(key);
    if (!module) {
      const code = names.map((name) => SHADERS[name]).join("\n");
      module = this.#device.createShaderModule({ label: key, code });
      modules.set(key, module);
    }
    return module;
  }
}
