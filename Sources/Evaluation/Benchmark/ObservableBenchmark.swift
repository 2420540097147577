import FastJet
import Foundation
import Glibc
import Loader
import Support

/// Measures how fast observables are computed, beside reading the jets alone, and beside what FastJet takes to cluster them once.
public struct ObservableBenchmark: Sendable {
    /// The jets.
    public var sample: JetSample
    /// What is computed.
    public var groups = ObservableGroups.original
    /// Measured rounds, after one that warms up.
    public var repetitions = 3
    /// Whether the work should stop.
    public var isInterrupted: @Sendable () -> Bool = { false }

    /// A benchmark of three rounds.
    public init(_ sample: JetSample) { self.sample = sample }

    /// Seconds that passed, and of the processor, of all threads.
    public struct Seconds: Codable, Sendable {
        /// Seconds that passed.
        public var wall: Double
        /// Seconds of the processor.
        public var cpu: Double
    }

    /// What was measured once.
    public struct Round: Codable, Sendable {
        /// Opening the dataset, reading, and all observables.
        public var whole: Seconds
        /// The same without observables.
        public var reading: Seconds
        /// One kT clustering of the same jets by FastJet, E-scheme, on one thread: history and momenta of all steps.
        public var bareClustering: Seconds
    }

    /// What was measured.
    public struct Report: Codable, Sendable {
        /// Jets that were observed.
        public var jets: Int
        /// Their constituents.
        public var constituents: Int
        /// Observables of a jet.
        public var observables: [String]
        /// Threads that computed.
        public var threads: Int
        /// The version of FastJet.
        public var fastJet: String
        /// Jets that are not like others.
        public var counts: ObservableTable.Counts
        /// For each observable the jets for which it is not defined, where there are any.
        public var undefined: [String: Int]
        /// The measurements.
        public var rounds: [Round]
    }

    /// Runs all rounds. Gives also the table of the last one.
    /// - Throws: As `JetSample.observables`.
    public func run() throws -> (report: Report, table: ObservableTable) {
        var sample = sample
        sample.isInterrupted = isInterrupted
        sample.keepsConstituents = true
        let momenta = try Momenta(sample)
        sample.keepsConstituents = false
        var rounds: [Round] = [], table = ObservableTable([])
        for number in 0...max(1, repetitions) {
            if isInterrupted() {
                throw ObservableError(.interrupted, file: sample.dataset, message: "stopped on request")
            }
            let reading = try Self.measure { _ = try sample.observables([]) }
            let whole = try Self.measure { table = try sample.observables(groups) }
            let bare = try Self.measure { try momenta.cluster() }
            if number > 0 { rounds.append(Round(whole: whole, reading: reading, bareClustering: bare)) }
        }
        var undefined: [String: Int] = [:]
        for column in table.columns where column.undefinedCount > 0 {
            undefined[column.observable.name] = column.undefinedCount
        }
        let report = Report(
            jets: table.rows, constituents: momenta.px.count, observables: groups.observables.map(\.name),
            threads: sample.threads, fastJet: FastJet.version, counts: table.counts, undefined: undefined,
            rounds: rounds)
        return (report, table)
    }

    /// Momenta of all jets for FastJet, massless.
    private struct Momenta {
        var px: [Double] = [], py: [Double] = [], pz: [Double] = [], energy: [Double] = []
        var offsets = [0]

        init(_ sample: JetSample) throws {
            let table = try sample.observables([])
            guard let constituents = table.constituents else { return }
            offsets = constituents.offsets
            let pt = constituents.values(.pt), eta = constituents.values(.eta), phi = constituents.values(.phi)
            px = zip(pt, phi).map { $0 * cos($1) }
            py = zip(pt, phi).map { $0 * sin($1) }
            pz = zip(pt, eta).map { $0 * sinh($1) }
            energy = zip(pt, eta).map { $0 * cosh($1) }
        }

        /// Some thousand jets at a time, as the results of all of them take memory.
        func cluster() throws {
            var first = 0
            while first < offsets.count - 1 {
                let end = min(offsets.count - 1, first + 1000), from = offsets[first], to = offsets[end]
                try FastJet.clusterOnly(
                    px: Array(px[from..<to]), py: Array(py[from..<to]), pz: Array(pz[from..<to]),
                    energy: Array(energy[from..<to]), offsets: offsets[first...end].map { $0 - from }, algorithm: .kt,
                    radius: 0.8)
                first = end
            }
        }
    }

    private static func measure(_ body: () throws -> Void) throws -> Seconds {
        func seconds(_ clock: clockid_t) -> Double {
            var time = timespec()
            clock_gettime(clock, &time)
            return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
        }
        let wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID)
        try body()
        return Seconds(wall: seconds(CLOCK_MONOTONIC) - wall, cpu: seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu)
    }
}
