// GET /status and GET /config of the LMCache server, with every field recorded from 0.5.6.

import type { LmcacheNode } from './lmcache-node.ts'
import type { SimSettings } from './options.ts'

const ENGINE_INSTANCE = '1514595694625312512'

export function statusJson(settings: SimSettings, { store, attached }: LmcacheNode, jobs: number): unknown {
  const { objects, bytes } = store.l1
  const capacity = { dram: settings.l1Bytes }
  const adapterCounts = {
    num_l2_adapters: settings.l2Adapters.length,
    num_active_adapters: settings.l2Adapters.length,
    num_draining_adapters: 0,
  }
  const l1Manager = {
    is_healthy: true,
    total_object_count: objects,
    write_locked_count: 0,
    read_locked_count: store.locked.size,
    temporary_count: 0,
    staging_object_count: 0,
    staging_bytes: 0,
    memory_used_bytes: bytes,
    memory_total_bytes: settings.l1Bytes,
    memory_configured_bytes: settings.l1Bytes,
    capacity_bytes_by_backend: capacity,
    memory_usage_ratio: bytes / settings.l1Bytes,
    write_ttl_seconds: 600,
    read_ttl_seconds: 300,
  }
  const storeController = {
    is_healthy: true,
    thread_alive: true,
    pending_keys_count: 0,
    in_flight_task_count: 0,
    ...adapterCounts,
  }
  const eviction = {
    is_healthy: true,
    thread_alive: true,
    eviction_policy: 'LRU',
    trigger_watermark: 0.8,
    eviction_ratio: 0.2,
  }
  return {
    is_healthy: true,
    engine_type: 'MPCacheServer',
    chunk_size: settings.chunkSize,
    hash_algorithm: 'blake3',
    active_sessions: 0,
    storage_manager: {
      is_healthy: true,
      l1_managers: { _default: l1Manager },
      store_controllers: { _default: storeController },
      l1_eviction_controllers: { _default: eviction },
      prefetch_controller: {
        is_healthy: true,
        thread_alive: true,
        max_in_flight: 8,
        submission_queue_size: 0,
        pending_queue_size: 0,
        in_flight_request_count: 0,
        lookup_phase_count: 0,
        load_phase_count: 0,
        completed_results_count: jobs,
        ...adapterCounts,
      },
      l2_eviction_controller: {
        is_healthy: true,
        thread_alive: true,
        adapters: settings.isolatedLru ? settings.l2Adapters.map(() => isolatedLruStatus) : [],
      },
      l2_adapters: settings.l2Adapters.map(adapterStatus),
      num_l2_adapters: settings.l2Adapters.length,
      l1_usage: [bytes, settings.l1Bytes],
      l1_capacity_bytes_by_backend: capacity,
      l1_manager: l1Manager,
      store_controller: storeController,
      l1_eviction_controller: eviction,
    },
    active_prefetch_jobs: jobs,
    active_p2p_lookup_jobs: 0,
    p2p_enabled: false,
    p2p_state: 'unregistered',
    p2p_peer_count: 0,
    p2p_peers: [],
    worker_liveness: {
      enabled: true,
      reap_timeout_seconds: 120,
      registration_grace_seconds: 3600,
      tracked_instances: 1,
    },
    kv_events: {
      enabled: true,
      incarnation: 1,
      log_depth: 0,
      log_capacity: 32_768,
      next_seq: 1,
      lost_markers: 0,
      unbound_stores: 0,
      subscribers: 0,
    },
    registered_gpu_ids: [],
    cache_context_meta: {},
    registered_non_cuda_instance_ids: attached ? [Number(ENGINE_INSTANCE)] : [],
    non_cuda_context_meta: attached ? { [ENGINE_INSTANCE]: engineMeta(settings) } : {},
  }
}

function engineMeta({ root, worldSize, blockSize }: SimSettings): unknown {
  return { model_name: root, world_size: worldSize, block_size: blockSize, use_mla: true }
}

// Adapters without a capacity report a usage of -1. Adapters that do not evict are omitted (recorded: status, IsolatedLRU).
const isolatedLruStatus = {
  eviction_policy: 'IsolatedLRU',
  trigger_watermark: 0.8,
  eviction_ratio: 0.2,
  current_usage: -1,
  total_bytes_used: 0,
  total_capacity_bytes: 0,
  num_cache_salt_buckets: 0,
}

function adapterStatus(type: string): unknown {
  if (type === 'fs') {
    return { is_healthy: true, type: 'FSL2Adapter', base_path: 'sim/l2', use_odirect: false, event_loop_alive: true }
  }
  return { is_healthy: true, type: type === 'resp' ? 'LMCacheRedisClient' : type }
}

/** The parts of `/config` that describe the simulated stack. The rest of the recorded file is omitted. */
export function configJson(settings: SimSettings, { id, urls: ports }: LmcacheNode): unknown {
  const eviction = {
    eviction_policy: 'LRU',
    trigger_watermark: 0.8,
    eviction_ratio: 0.2,
    extra_logging_enabled: false,
    extra_logging_interval: 10,
  }
  const { hostname, port } = new URL(ports.lmcache)
  return {
    mp: {
      transport: 'zmq',
      host: 'localhost',
      chunk_size: settings.chunkSize,
      hash_algorithm: 'blake3',
      engine_type: 'default',
      separate_object_groups: settings.separateObjectGroups,
      instance_id: id,
    },
    storage_manager: {
      l1_manager_config: {
        memory_config: { size_in_bytes: settings.l1Bytes, init_size_in_bytes: settings.l1Bytes },
        write_ttl_seconds: 600,
        read_ttl_seconds: 300,
        tag: '_default',
        eviction,
      },
      eviction_config: eviction,
      l2_adapter_config: {
        adapters: settings.l2Adapters.map((name) => ({
          ...(name === 'resp' && settings.redisAddress),
          affinity_tag: '_default',
          shared: settings.declaredShared.includes(name),
          eviction_config: null,
          serde_config: null,
        })),
      },
      store_policy: 'default',
      prefetch_policy: 'default',
      prefetch_max_in_flight: 8,
    },
    http: { http_host: hostname, http_port: Number(port) },
    coordinator: {
      url: ports.coordinator,
      advertise_ip: hostname,
      heartbeat_interval: 5,
      event_reporting: settings.eventReporting,
      event_flush_interval: settings.eventFlushMs / 1000,
    },
  }
}
