import Foundation

/// Where the processes of a training meet: rank 0 listens there.
public struct Master: Sendable, Equatable, CustomStringConvertible {
    /// A name or an address.
    public var host: String
    /// A TCP port.
    public var port: Int

    /// An address.
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// `HOST:PORT`, as on a command line; IPv6 addresses stand in brackets.
    /// - Throws: `ModelError` with code `ranks`.
    public init(_ text: String) throws {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (1...65_535).contains(port), colon != text.startIndex
        else {
            throw ModelError(.ranks, place: "master", message: "'\(text)' is not like node01:29500")
        }
        host = String(text[..<colon].drop { $0 == "[" }.prefix { $0 != "]" })
        self.port = port
    }

    /// Finds the address: `MASTER_ADDR` and `MASTER_PORT` (torchrun), else within a Slurm step the step's first node and a port by the number
    /// of the job and the step, which no other one of them has.
    /// - Throws: `ModelError` with code `ranks` that names the variables.
    public init(environment: [String: String] = ProcessInfo.processInfo.environment) throws {
        switch (environment["MASTER_ADDR"], environment["MASTER_PORT"]) {
        case (let host?, let text?):
            guard let port = Int(text), (1...65_535).contains(port), !host.isEmpty else {
                throw ModelError(
                    .ranks, place: "MASTER_ADDR, MASTER_PORT", message: "'\(host)' and '\(text)' are no host and port")
            }
            self.init(host: host, port: port)
            // torchrun's agent listens at the port itself, with the protocol of its own version of c10d: rank 0 takes the next one.
            if environment["TORCHELASTIC_USE_AGENT_STORE"] == "True" { self.port = port < 65_535 ? port + 1 : port - 1 }
        case (nil, nil):
            guard let job = environment["SLURM_JOB_ID"].flatMap({ Int($0) }),
                let nodes = environment["SLURM_STEP_NODELIST"], let first = Self.firstNode(nodes)
            else {
                throw ModelError(
                    .ranks, place: "MASTER_ADDR, MASTER_PORT", message: "are not set",
                    advice: "set them on all ranks to where rank 0 listens, or pass --master HOST:PORT")
            }
            let step = environment["SLURM_STEP_ID"].flatMap { Int($0) } ?? 0
            self.init(host: first, port: 20_000 + (job % 4000) * 8 + step % 8)
        case (nil, _?), (_?, nil):
            throw ModelError(
                .ranks, place: "MASTER_ADDR, MASTER_PORT", message: "only one of them is set",
                advice: "set both, or pass --master HOST:PORT")
        }
    }

    /// The first of the nodes in Slurm's short form: `cn[03-07,12],login1` is `cn03`.
    static func firstNode(_ list: String) -> String? {
        guard let bracket = list.firstIndex(where: { $0 == "[" || $0 == "," }) else { return list.isEmpty ? nil : list }
        let name = String(list[..<bracket])
        guard list[bracket] == "[" else { return name }
        let number = list[list.index(after: bracket)...].prefix(while: \.isNumber)
        guard !number.isEmpty, let end = list[bracket...].firstIndex(of: "]") else { return nil }
        // What follows the brackets belongs to the name.
        return name + number + list[list.index(after: end)...].prefix { $0 != "," }
    }

    /// `node01:29500`
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Whether it is this machine by an address that no other one can reach.
    var isLoopback: Bool { host == "localhost" || host == "::1" || host.hasPrefix("127.") }
}
