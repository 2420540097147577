import Foundation
import Support
import Testing

@Suite struct WaitingTests {
    @Test func `a wait for a while ends without a result, and with one as soon as there is one`() throws {
        let number = Monitor(0)
        let started = Date()
        #expect(number.wait(seconds: 0.05) { $0 > 0 ? $0 : nil } == nil)
        #expect(number.wait(seconds: 0) { $0 > 0 ? $0 : nil } == nil)
        #expect((0.05..<60).contains(Date().timeIntervalSince(started)))
        try WorkerThread.start {
            usleep(20_000)
            number.update { $0 = 7 }
        }
        // Much longer than anybody waits for a test.
        for seconds in [1e300, .infinity, .nan] {
            #expect(number.wait(seconds: seconds) { $0 > 0 ? $0 : nil } == 7)
        }
        #expect(number.wait(seconds: -1) { $0 } == 7)
        #expect(Date().timeIntervalSince(started) < 120)
    }

    @Test func `a thread that the system refuses is an error`() {
        #expect(throws: SystemError.self) { try WorkerThread.start(stackSize: 1 << 60) {} }
    }

    @Test(arguments: [
        (0.0, 3, "0.000"), (-1.0005, 2, "-1.00"), (2.5, 0, "2"), (1e15, 1, "1000000000000000.0"), (.infinity, 2, "inf"),
    ])
    func `fixed decimals are those of C`(value: Double, digits: Int, text: String) {
        #expect(value.fixed(digits) == text)
        #expect(Double.greatestFiniteMagnitude.fixed(2).count == 312)
    }
}
