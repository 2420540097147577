import Glibc
import Model
import Support
import Testing
import Torch

/// The watch of rank 0 over a process of which there is only what it writes into the store.
@Suite struct VigilTests {
    /// Rank 0 and its store.
    private struct Watched {
        let master: Master
        let store: KeyValueStore
        let vigil: Vigil
        /// The fault with which rank 0 was told to leave.
        let abandoned = Monitor<String?>(nil)

        init(limit: Double, longest: Double = 600) throws {
            master = Master(host: "127.0.0.1", port: try LocalLaunch.freePort())
            store = try KeyValueStore(host: master.host, port: master.port, isMaster: true, timeout: 20)
            let abandoned = abandoned
            vigil = try Vigil(master: master, rank: 0, names: ["rank 0", "rank 1"], limit: limit, longest: longest) {
                fault in
                abandoned.update { $0 = fault }
            }
        }
    }

    private let clock = ContinuousClock()

    /// Gives signs of life as rank 1 for some seconds.
    private func live(_ watched: Watched, seconds: Double, begun: Int = 0) throws {
        let end = clock.now + .seconds(seconds)
        var count = 0
        while clock.now < end {
            count += 1
            try watched.store.set("life/1", "\(count) \(begun)")
            usleep(20_000)
        }
    }

    @Test("a thread of rank 0 that is blocked does not keep it when another process is lost")
    func blocked() throws {
        let watched = try Watched(limit: 1)
        // Nobody asks for the fault.
        let fault = watched.abandoned.wait(seconds: 20) { $0 }
        #expect(fault?.contains("rank 1 has given no sign of life for 1 s") == true)
    }

    @Test("rank 0 stays until a slow process has read the fault, and no longer")
    func slow() throws {
        let watched = try Watched(limit: 8), vigil = watched.vigil
        let told = Monitor<ContinuousClock.Instant?>(nil), clock = clock
        try live(watched, seconds: 0.5)
        try WorkerThread.start {
            vigil.tell("rank 0: cannot go on")
            told.update { $0 = clock.now }
        }
        // Four periods.
        try live(watched, seconds: 3.5)
        #expect(try watched.store.text("fault") == "rank 0: cannot go on")
        #expect(told.read { $0 } == nil, "it has left while rank 1 had not read why")
        let heard = clock.now
        try watched.store.set("heard/1", "1")
        let left = try #require(told.wait(seconds: 20) { $0 })
        #expect(left - heard < .seconds(3))
        #expect(watched.abandoned.read { $0 } == nil)
    }

    @Test("a process says that it has read the fault, and leaves when its thread is blocked")
    func heard() throws {
        let port = try LocalLaunch.freePort()
        let store = try KeyValueStore(host: "127.0.0.1", port: port, isMaster: true, timeout: 20)
        try store.set("fault", "rank 2: it cannot go on")
        let abandoned = Monitor<String?>(nil), master = Master(host: "127.0.0.1", port: port)
        let vigil = try Vigil(
            master: master, rank: 1, names: ["rank 0", "rank 1", "rank 2"], limit: 1, longest: 600
        ) { fault in abandoned.update { $0 = fault } }
        #expect(abandoned.wait(seconds: 20) { $0 } == "rank 2: it cannot go on")
        #expect(try store.text("heard/1") != nil && store.text("life/1")?.hasSuffix(" 0") == true)
        withExtendedLifetime(vigil) {}
    }

    @Test("rank 0 does not wait for a process that is lost to read why")
    func lost() throws {
        let watched = try Watched(limit: 6), begin = clock.now
        let fault = try #require(watched.vigil.cause())
        #expect(fault.contains("rank 1 has given no sign of life"))
        let known = clock.now
        watched.vigil.tell("it is gone")
        #expect(clock.now - known < .seconds(5) && known - begin >= .seconds(6))
        #expect(try watched.store.text("fault") == fault)
    }

    @Test("a process whose training hangs is named, whichever, though it gives signs of life", arguments: [0, 1])
    func hangs(_ rank: Int) throws {
        let watched = try Watched(limit: 5, longest: 2)
        // Both come to the first thing, one of them to the second.
        for _ in 0..<(rank == 0 ? 1 : 2) { watched.vigil.begin() }
        try live(watched, seconds: 4, begun: rank == 0 ? 2 : 1)
        let fault = watched.vigil.fault
        #expect(fault?.contains("rank \(rank) has kept the others waiting for 2 s") == true, "\(fault ?? "nothing")")
    }

    @Test("processes that are busy for long, and none ahead, do not hang")
    func busy() throws {
        let watched = try Watched(limit: 5, longest: 2)
        watched.vigil.begin()
        try live(watched, seconds: 5, begun: 1)
        #expect(watched.vigil.fault == nil)
        // Now and then one of them is a little late.
        for count in 2..<8 {
            watched.vigil.begin()
            try live(watched, seconds: 0.3, begun: count - 1)
            try live(watched, seconds: 0.3, begun: count)
        }
        #expect(watched.vigil.fault == nil)
        watched.vigil.end()
    }
}
