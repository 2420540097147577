import Glibc

/// What this process may use of the machine.
public enum Machine {
    /// Cores for us: the least of the affinity mask, the cgroup's quota and `SLURM_CPUS_PER_TASK`; at least one.
    ///
    /// The number of processors online describes the node, not the share that a container or a batch job got.
    public static var usableCores: Int {
        var cores = affinityCount()
        if let quota = cgroupCores() { cores = min(cores, quota) }
        if let text = getenv("SLURM_CPUS_PER_TASK"), let number = Int(String(cString: text)), number > 0 {
            cores = min(cores, number)
        }
        return max(1, cores)
    }

    /// The most memory that this process has held so far, in bytes; 0 where nobody tells.
    public static var peakMemory: Int {
        status("VmHWM:")
    }

    /// Memory that this process may use, in bytes: that of the machine, or the least limit of its cgroups.
    public static var memory: Int {
        let line = text("/proc/meminfo")?.split(separator: "\n").first { $0.hasPrefix("MemTotal:") }
        let all = (line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
        return leastOfCgroups("memory.max") { Int($0.split(separator: "\n").first ?? "") }
            .map { all > 0 ? min($0, all) : $0 } ?? all
    }

    /// Memory that this process holds now, in bytes: its own, and that of mapped files, which the system can take back.
    public static var residentMemory: (anonymous: Int, file: Int) {
        (status("RssAnon:"), status("RssFile:"))
    }

    /// A number of kilobytes in the process's status, in bytes.
    private static func status(_ name: String) -> Int {
        let line = text("/proc/self/status")?.split(separator: "\n").first { $0.hasPrefix(name) }
        return (line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
    }

    /// The cores in `Cpus_allowed_list`, for example `0-3,8`.
    private static func affinityCount() -> Int {
        let line = text("/proc/self/status")?.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") }
        let ranges = line?.split(whereSeparator: \.isWhitespace).last?.split(separator: ",") ?? []
        return ranges.reduce(0) { sum, range in
            let ends = range.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, last >= first else { return sum }
            return sum + last - first + 1
        }
    }

    /// The least quota on the way from our cgroup to the root, in whole cores rounded up.
    private static func cgroupCores() -> Int? { leastOfCgroups("cpu.max") { quota($0) } }

    /// The least number that files of this name hold, from our cgroup (version 2) up to the root.
    private static func leastOfCgroups(_ file: String, _ number: (String) -> Int?) -> Int? {
        guard let line = text("/proc/self/cgroup")?.split(separator: "\n").first(where: { $0.hasPrefix("0::") }) else {
            return nil
        }
        var path = String(line.dropFirst(3))
        var least: Int?
        while true {
            if let found = text("/sys/fs/cgroup\(path)/\(file)").flatMap(number) { least = min(least ?? found, found) }
            guard let slash = path.lastIndex(of: "/"), path.count > 1 else { return least }
            path = String(path[..<slash])
        }
    }

    private static func quota(_ text: String?) -> Int? {
        let words = text?.split(whereSeparator: \.isWhitespace) ?? []
        guard words.count == 2, let quota = Double(words[0]), let period = Double(words[1]), period > 0 else {
            return nil
        }
        return max(1, Int((quota / period).rounded(.up)))
    }

    private static func text(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = fread(&buffer, 1, buffer.count, file)
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }
}
