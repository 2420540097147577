import Foundation
import Loader
import TestSupport
import Testing

/// The table of launchers that the tests of the Python package read too.
private struct LaunchTable: Decodable, Sendable {
    /// Variables of a process, and numbers that were passed beside them.
    struct Launch: Decodable, Sendable, CustomTestStringConvertible {
        var name: String
        var environment: [String: String]
        var explicit: [Int]?
        var isInteractive: Bool?
        var rank: Int
        var size: Int
        var origin: String
        var says: String
        var warning: String?
        var testDescription: String { name }
    }

    /// The same with numbers that cannot be, and the text that says so.
    struct Failure: Decodable, Sendable, CustomTestStringConvertible {
        var environment: [String: String]
        var explicit: [Int]?
        var isInteractive: Bool?
        var error: String
        var testDescription: String { error }
    }

    var launches: [Launch]
    var failures: [Failure]

    static let read = Result {
        try JSONDecoder().decode(
            LaunchTable.self, from: Data(contentsOf: URL(fileURLWithPath: Package.testData + "/ranks.json")))
    }
    static var launches: [Launch] { (try? read.get().launches) ?? [] }
    static var failures: [Failure] { (try? read.get().failures) ?? [] }
}

private func resolve(
    _ environment: [String: String], _ explicit: [Int]?, isInteractive: Bool = false
) throws(LoaderError) -> (rank: Rank, warning: String?) {
    var rank: Rank?
    if let explicit { rank = try Rank(explicit[0], of: explicit[1]) }
    return try resolveRank(environment: environment, explicit: rank, isInteractive: isInteractive)
}

@Suite struct RankTests {
    @Test func `the table is there`() throws {
        let table = try LaunchTable.read.get()
        #expect(table.launches.count >= 27 && table.failures.count >= 24)
    }

    @Test(arguments: LaunchTable.launches)
    private func `each launcher's variables give its rank`(launch: LaunchTable.Launch) throws {
        let found = try resolve(
            launch.environment, launch.explicit, isInteractive: launch.isInteractive ?? false)
        #expect(found.rank.rank == launch.rank)
        #expect(found.rank.size == launch.size)
        #expect(found.rank.origin == launch.origin)
        #expect(found.rank.description == launch.says)
        #expect(found.warning == launch.warning)
    }

    @Test(arguments: LaunchTable.failures)
    private func `half a pair or garbage is an error that names the variables`(failure: LaunchTable.Failure) throws {
        let error = try #require(throws: LoaderError.self) {
            try resolve(failure.environment, failure.explicit, isInteractive: failure.isInteractive ?? false)
        }
        #expect(error.code == .rank)
        #expect(error.description == failure.error)
    }

    @Test func `a process alone says so`() {
        #expect(Rank.single.description == "rank 0 of 1 (single process)")
    }
}
