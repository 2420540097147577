import Model
import StandIn
import Support
import Testing
import Torch

/// Buckets over a group of one process, whose sums are its own gradients.
@Suite(.serialized) struct GradientBucketsTests {
    private func group() throws -> (KeyValueStore, ProcessGroup) {
        let port = try LocalLaunch.freePort()
        let store = try KeyValueStore(host: "127.0.0.1", port: port, isMaster: true, timeout: 20)
        return (store, try ProcessGroup(.gloo, store, address: "127.0.0.1", rank: 0, size: 1, timeout: 20))
    }

    private func finish(_ buckets: GradientBuckets) throws {
        try buckets.flush()
        while try !buckets.isDone() {}
        try buckets.apply()
    }

    @Test("a gradient that the last pass did not touch is summed as earlier passes left it", arguments: [8, 1 << 20])
    func accumulation(_ bytes: Int) throws {
        let (store, group) = try group()
        let a = try Tensor.of([2, 3] as [Float]), b = try Tensor.of([5] as [Float]),
            unused = try Tensor.of([1] as [Float])
        for tensor in [a, b, unused] { try tensor.setRequiresGradient() }
        let buckets = try GradientBuckets([a, b, unused], group: group, bytes: bytes)

        // Both in the first step, b only in the pass that is not the last.
        try (a.squared().sum() + b.squared().sum()).backward()
        try buckets.arm()
        try a.sum().backward()
        try finish(buckets)
        #expect(try a.gradient()?.floats() == [5, 7])
        #expect(try b.gradient()?.floats() == [10])
        #expect(try unused.gradient() == nil)

        // In the second step b has none, whatever the first left in its bucket.
        for tensor in [a, b] { try tensor.clearGradient() }
        try buckets.arm()
        try a.sum().backward()
        try finish(buckets)
        #expect(try a.gradient()?.floats() == [1, 1])
        #expect(try b.gradient() == nil)

        // A process without jets goes through no pass.
        try a.clearGradient()
        try buckets.arm()
        try finish(buckets)
        #expect(try a.gradient() == nil && b.gradient() == nil)
        withExtendedLifetime(store) {}
    }

    @Test("gradients of a GPU go through the memory of the CPU and come back")
    func device() throws {
        try Torch.withDeviceForGPUs(standin_device()) {
            let (store, group) = try group(), gpu = Device.cuda(0)
            let a = try Tensor.of([2, 3] as [Float], on: gpu), b = try Tensor.of([5] as [Float], on: gpu)
            for tensor in [a, b] { try tensor.setRequiresGradient() }
            let buckets = try GradientBuckets([a, b], group: group, bytes: 8)
            try b.squared().sum().backward()
            try buckets.arm()
            try a.squared().sum().backward()
            try finish(buckets)
            let gradients = try [a, b].map { try #require(try $0.gradient()) }
            #expect(gradients.allSatisfy { $0.device == gpu })
            #expect(try gradients[0].floats() == [4, 6] && gradients[1].floats() == [10])
            withExtendedLifetime(store) {}
        }
    }

    @Test("passes before the last one send nothing")
    func unarmed() throws {
        let (store, group) = try group()
        let a = try Tensor.of([2] as [Float])
        try a.setRequiresGradient()
        let buckets = try GradientBuckets([a], group: group)
        for _ in 0..<3 { try a.squared().sum().backward() }
        #expect(try a.gradient()?.floats() == [12])
        try buckets.arm()
        try a.squared().sum().backward()
        try finish(buckets)
        #expect(try a.gradient()?.floats() == [16])
        withExtendedLifetime(store) {}
    }

    @Test("a group whose others do not come fails when the time for joining is over, long before that for sums")
    func joining() throws {
        let port = try LocalLaunch.freePort(), clock = ContinuousClock(), begin = clock.now
        let store = try KeyValueStore(host: "127.0.0.1", port: port, isMaster: true, timeout: 20)
        #expect(throws: TorchError.self) {
            try ProcessGroup(.gloo, store, address: "127.0.0.1", rank: 0, size: 2, timeout: 25, joining: 1)
        }
        #expect(clock.now - begin < .seconds(20))
    }

    @Test("a port that is taken is an error")
    func taken() throws {
        let port = try LocalLaunch.freePort()
        let store = try KeyValueStore(host: "127.0.0.1", port: port, isMaster: true, timeout: 5)
        #expect(throws: TorchError.self) {
            try KeyValueStore(host: "127.0.0.1", port: port, isMaster: true, timeout: 1)
        }
        try store.set("a", "1")
        try store.setOnce("a", "2")
        try store.setOnce("b", "3")
        #expect(try store.text("a") == "1" && store.text("b") == "3" && store.text("c") == nil)
        #expect(try store.add("n", 2) == 2 && store.add("n", 3) == 5)
    }
}
