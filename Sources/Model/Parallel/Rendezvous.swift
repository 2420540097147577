import Foundation
import Glibc
import Loader
import Shards
import Support
import Torch

/// How the processes of a training meet: each puts its card into the store of rank 0, and looks at those of all others.
struct Rendezvous {
    let rank: Rank
    let options: World.Options

    private static func key(_ number: Int) -> String { "card/\(number)" }
    private static let count = "cards"
    /// How many others have seen why the processes do not meet.
    private static let seen = "seen"
    /// That they do not come all.
    private static let failure = "failure"

    /// The store: rank 0 holds it.
    /// - Throws: `ModelError` with code `ranks` that says who cannot reach whom.
    func store() throws -> KeyValueStore {
        let master = options.master, isFirst = rank.rank == 0
        do {
            return try KeyValueStore(
                host: master.host, port: master.port, isMaster: isFirst, timeout: options.joining
            )
        } catch {
            throw isFirst
                ? ModelError(
                    .ranks, place: "rank 0 of \(rank.size)", message: "cannot listen at \(master): \(error.message)",
                    advice: "is there another rank 0, or another program at this port?")
                : ModelError(
                    .ranks, place: "rank \(rank.rank) of \(rank.size)",
                    message: "cannot reach the master at \(master) within \(Int(options.joining)) s",
                    advice: "is rank 0 running there, and may its port be reached?")
        }
    }

    /// The cards of all processes, by rank.
    /// - Throws: `ModelError` with code `ranks`, the same in all processes, that names both sides of what does not fit.
    func meet(_ store: KeyValueStore, _ own: RankCard) throws -> [RankCard] {
        do { return try cards(store, own) } catch let error as TorchError {
            throw ModelError(
                .ranks, place: "rank \(rank.rank) of \(rank.size)",
                message: "rank 0 has left the store at \(options.master) before all had met (\(error.message))",
                advice: "see what rank 0 says")
        }
    }

    private func cards(_ store: KeyValueStore, _ own: RankCard) throws -> [RankCard] {
        let number = try store.add(Self.count, 1)
        try store.set(Self.key(number), try CanonicalJSON.text(own))
        var cards: [Int: RankCard] = [:], stranger: String?
        let clock = ContinuousClock(), end = clock.now + .seconds(options.joining)
        while true {
            for other in 1...max(1, try store.add(Self.count, 0)) where cards[other] == nil {
                guard let text = try store.text(Self.key(other)) else { continue }
                cards[other] = try? JSONDecoder().decode(RankCard.self, from: Data(text.utf8))
                if cards[other] == nil {
                    stranger =
                        "\(own.name), omnijet \(Version.number), does not understand what another process says of "
                        + "itself, which may be another version: \(text.prefix(300))"
                }
            }
            let found = cards.sorted { $0.key < $1.key }.map(\.value)
            if let conflict = RankCard.conflict(found) ?? stranger {
                try leave(store, conflict, until: max(end, clock.now + .seconds(min(5, options.joining))))
                throw ModelError(.ranks, message: conflict)
            }
            if cards.count >= rank.size { return found.sorted { $0.rank < $1.rank } }
            var failure = try store.text(Self.failure)
            if failure == nil, clock.now >= end {
                let missing = Set(0..<rank.size).subtracting(found.map(\.rank)).sorted()
                failure =
                    "\(found.count) of \(rank.size) ranks came within \(Int(options.joining)) s; missing: "
                    + missing.prefix(10).map(String.init).joined(separator: ", ")
                if let failure, rank.rank == 0 { try store.set(Self.failure, failure) }
            }
            if let failure {
                try leave(store, failure, until: clock.now + .seconds(min(5, options.joining)))
                throw ModelError(.ranks, place: "\(options.master)", message: failure)
            }
            usleep(20_000)
        }
    }

    /// Leaves with an error that others must see: rank 0, which holds the store that they look into, last of all.
    private func leave(_ store: KeyValueStore, _ text: String, until end: ContinuousClock.Instant) throws {
        guard rank.rank == 0 else {
            _ = try? store.add(Self.seen, 1)
            return
        }
        let clock = ContinuousClock(), begin = clock.now
        var isSaid = false
        while clock.now < end {
            let absent = rank.size - 1 - (try store.add(Self.seen, 0))
            if absent <= 0 { return }
            if !isSaid, clock.now - begin > .seconds(1) {
                isSaid = true
                options.remark(
                    "\(text); this process stays for up to \(Int(((end - clock.now) / .seconds(1)).rounded(.up))) s until "
                        + "\(absent) more have seen it")
            }
            usleep(20_000)
        }
    }

    /// The address of this machine that the others can reach: of the interface that leads to the master.
    ///
    /// Many machines have their own name at a loopback address (Debian: 127.0.1.1). Then it is that by which the others reach it.
    /// - Throws: `ModelError` with code `ranks` if it is a loopback one, and others are elsewhere.
    func address(_ cards: [RankCard]) throws -> String {
        func isLoopback(_ address: String) -> Bool { Master(host: address, port: 1).isLoopback }
        let address = try KeyValueStore.way(to: options.master.host, port: options.master.port).own
        guard isLoopback(address), Set(cards.map(\.host)).count > 1,
            ProcessInfo.processInfo.environment["GLOO_SOCKET_IFNAME"] == nil
        else { return address }
        for seen in cards.compactMap(\.master) where !isLoopback(seen) {
            // An address of this machine leads to itself; that of a gate before it does not.
            if (try? KeyValueStore.way(to: seen, port: options.master.port).own) == seen { return seen }
        }
        throw ModelError(
            .ranks, place: "\(options.master)",
            message: "is the loopback address \(address) here, where others cannot reach it",
            advice: "name the master by an address of its network, or set GLOO_SOCKET_IFNAME to the interface")
    }
}
